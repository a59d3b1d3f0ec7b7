"""nginx fetches from an S3 over https only if a trusted authority has signed its certificate."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import trustme

from tests.support.client import FILES, Served, assert_problem
from tests.support.environment import ENVIRONMENT, SCRIPTS
from tests.support.folders import temporary_folder
from tests.support.processes import Process, accepts, free_port
from tests.support.stacks import FullStack, start

pytestmark = pytest.mark.thorough

BUCKET = "files"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def stack_on_https(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullStack]:
    """Start a full stack on an S3 whose certificate authority is trusted by file-storage but not by nginx."""
    folder, port = tmp_path_factory.mktemp("s3-https"), free_port()
    # nginx compares the server's name only with DNS names and the common name.
    certificate = authority.issue_cert("127.0.0.1", common_name="127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for part in certificate.cert_chain_pems:
        part.write_to_path(folder / "certificate.pem", append=True)
    command = [str(SCRIPTS / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    command += ["--ssl-cert", str(folder / "certificate.pem"), "--ssl-key", str(folder / "key.pem")]
    s3 = Process("s3", command, ENVIRONMENT, folder / "s3.log")
    s3.wait_until(accepts(port))
    authority.cert_pem.write_to_path(folder / "authority.pem")
    make_bucket(authority, f"https://127.0.0.1:{port}/{BUCKET}")
    started = start(
        "full",
        temporary_folder("s3-https"),
        {
            "FILE_STORAGE_STORAGE__URL": f"s3://{BUCKET}/certificate",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}",
            "SSL_CERT_FILE": str(folder / "authority.pem"),
        },
    )
    assert isinstance(started, FullStack)
    yield started
    started.stop()
    s3.stop()


def make_bucket(authority: trustme.CA, url: str) -> None:
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    httpx2.put(url, verify=trusted, trust_env=False).raise_for_status()


def test_a_certificate_of_an_unknown_authority_is_refused(stack_on_https: FullStack) -> None:
    with Served(stack_on_https.url) as client:
        file = client.files.upload(b"in S3", name="a.bin")

        refused = client.http.get(f"{FILES}/{file.id}/download")

    assert_problem(refused, 503, "try again")


def test_a_certificate_of_the_operators_authority_is_accepted(
    stack_on_https: FullStack, authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    port = free_port()
    values = {"NGINX_CA_FILE": str(tmp_path / "authority.pem")}
    nginx = stack_on_https.start_nginx("trusting-nginx", port, free_port(), values)
    nginx.wait_until(accepts(port))
    try:
        with Served(f"http://127.0.0.1:{port}") as client:
            file = client.files.upload(b"in S3", name="a.bin")

            assert client.files.read(file.id) == b"in S3"
    finally:
        nginx.stop()

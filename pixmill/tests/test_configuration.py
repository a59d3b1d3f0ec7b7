"""The shipped configuration: it is generated from the models, and its files are consistent."""

import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml
from file_storage.config import Settings
from file_storage.sending.ranges import MAX_COPIED_BYTES
from file_storage.services.promises import MIN_BYTES
from image_processor.config import ApiSettings, WebhookSettings, WorkerSettings
from image_processor.webhooks import STOP_SECONDS
from pixmill.embedded import environment_of
from pixmill.front.limits import STREAMS, STREAMS_OF_AN_ADDRESS
from service_kit.access.config import AccessSettings
from service_kit.request_body import JSON_LIMIT
from service_kit.secrets import share_out
from service_kit.settings import ServiceSettings, load

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
SERVICES: dict[str, type[ServiceSettings]] = {
    "file-storage": Settings,
    "image-processor": ApiSettings,
    "worker": WorkerSettings,
    "webhooks": WebhookSettings,
}
GENERATED = ["docs/configuration.md", *(str(path.relative_to(PROJECT)) for path in PROJECT.glob("config/*/conf.yml"))]
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folders of secrets that docker-compose creates; all secrets are variables too."""
    monkeypatch.chdir(PROJECT)
    shares = tmp_path / "shares"
    shares.mkdir()
    given: dict[str, str] = {}
    for file in ("postgresql", "rabbitmq", "callbacks", "links"):
        given |= variables(PROJECT / f"config/{file}.env")
    share_out(shares, given)
    for service in SERVICES:
        for path in (shares / service).iterdir():
            monkeypatch.setenv(path.name, path.read_text())
    return shares


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("configuration")
    subprocess.run([sys.executable, PROJECT / "docs/configuration.py", folder], check=True)
    return folder


@pytest.mark.parametrize("file", GENERATED)
def test_a_generated_file_follows_the_models(generated: Path, file: str) -> None:
    assert (PROJECT / file).read_text("utf-8") == (generated / file).read_text("utf-8"), "run `make config`"


@pytest.mark.parametrize("service", SERVICES)
def test_the_secrets_that_a_service_is_given_are_enough(
    shares: Path, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in shares.glob("*/*"):
        monkeypatch.delenv(path.name, raising=False)

    monkeypatch.setenv("PIXMILL_SECRETS", str(shares / service))

    load(SERVICES[service])


def test_each_service_that_is_given_secrets_mounts_them_alone() -> None:
    mounted = {
        service: [volume.split(":")[0] for volume in compose(service).get("volumes", []) if "secrets" in volume]
        for service in ("postgres", "rabbitmq", "file-storage", "image-processor", "worker", "nginx")
    }

    assert mounted == {service: [f"secrets-{service}"] if service != "nginx" else [] for service in mounted}


def test_no_file_of_the_configuration_has_a_secret() -> None:
    names = [name for path in (PROJECT / "config").glob("*.env") for name in variables(path)]

    assert names
    assert [name for name in names if re.search("PASS|SECRET|KEY", name)] == []


def test_only_nginx_is_where_the_port_is_published() -> None:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]

    assert [name for name, service in services.items() if "edge" in service.get("networks", [])] == ["nginx"]
    assert [port for service in services.values() for port in service.get("ports", [])] == [
        "${PIXMILL_BIND:-127.0.0.1}:${PIXMILL_PORT:-8080}:8080"
    ]


def test_each_service_is_on_the_networks_that_it_needs() -> None:
    assert networks_of_services() == {
        "secrets": set(),
        "roles": set(),
        "postgres": {"data"},
        "rabbitmq": {"data"},
        "file-storage": {"inner", "data", "egress"},
        "image-processor": {"inner", "data"},
        "worker": {"inner", "data"},
        "render": {"inner", "data"},
        "webhooks": {"data", "egress"},
        "nginx": {"edge", "inner"},
    }


def test_neither_what_decodes_images_nor_a_database_reaches_other_machines() -> None:
    networks = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["networks"]
    internal = {name for name, options in networks.items() if options is not None and options.get("internal") is True}

    assert internal == {"inner", "data"}
    assert {name for name, joined in networks_of_services().items() if joined - internal} == {
        # Where the port is published; S3; the receivers of webhooks.
        "nginx",
        "file-storage",
        "webhooks",
    }


def test_every_container_has_no_privileges_and_limits() -> None:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]

    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert "cap_add" not in service, name
        assert "privileged" not in service, name


@pytest.mark.parametrize("service", SERVICES)
def test_the_shipped_file_changes_no_default(service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = load(SERVICES[service])
    empty = tmp_path / "empty.yml"
    empty.touch()
    monkeypatch.setenv(f"{prefix_of(service)}CONFIG", str(empty))

    assert load(SERVICES[service]) == shipped


@pytest.mark.parametrize("service", SERVICES)
def test_lines_without_their_number_sign_say_the_same(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = load(SERVICES[service])
    text = re.sub(r"^( *)#(?! |$)|^#(?=  )", r"\1", (PROJECT / f"config/{service}/conf.yml").read_text(), flags=re.M)
    edited = tmp_path / "edited.yml"
    edited.write_text(text)
    monkeypatch.setenv(f"{prefix_of(service)}CONFIG", str(edited))

    assert load(SERVICES[service]) == shipped
    assert yaml.safe_load(text).keys() == SERVICES[service].model_fields.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_each_setting_is_described(service: str) -> None:
    lines = (PROJECT / "docs/configuration.md").read_text().splitlines()
    rows = [line for line in lines if f"| `{prefix_of(service)}" in line]

    assert rows
    assert all(len(row.split("|")[-2]) > 20 for row in rows)


def test_nginx_takes_the_largest_file_and_the_form_around_it() -> None:
    [megabytes] = re.findall(r"^(\d+)m$", nginx()["NGINX_MAX_BODY"])

    largest = load(Settings).upload.max_bytes

    assert largest + MIB <= int(megabytes) * MIB <= largest + 16 * MIB


def test_nginx_asks_for_room_from_the_size_that_file_storage_promises_it_to() -> None:
    [smaller] = re.findall(r'^        "~(\S+)" 0;$', nginx_block("map $http_content_length $is_large"), re.M)

    assert re.search(smaller, str(MIN_BYTES - 1))
    assert not re.search(smaller, str(MIN_BYTES))


def test_nginx_buffers_as_much_for_a_slow_client_as_file_storage_copies() -> None:
    sizes = re.findall(r"^ *proxy_max_temp_file_size (\S+);", (PROJECT / "config/nginx.conf").read_text(), re.M)

    [megabytes] = {size for size in sizes if size != "0"}
    assert int(megabytes.removesuffix("m")) * MIB == MAX_COPIED_BYTES


def locations_of_nginx() -> list[str]:
    return re.findall(r"^ {8}location .*(?:\n(?! {8}\S).*)*", (PROJECT / "config/nginx.conf").read_text(), re.M)


def test_every_location_of_nginx_limits_the_bodies_of_an_address() -> None:
    limited = [location for location in locations_of_nginx() if "limit_conn " in location]

    # nginx takes over the server's limit only if a location has none. Uploads have a limit of their own.
    unlimited = [location for location in limited if not re.search(r"limit_conn (bodies|uploads) ", location)]
    assert len(limited) > 10
    assert unlimited == []


def test_nginx_keeps_no_picture_on_disk_for_a_slow_client() -> None:
    public = [
        location
        for location in locations_of_nginx()
        if "proxy_pass http://$render" in location and "if ($limited_address) { return 404; }" not in location
    ]

    assert len(public) == 3
    assert all("proxy_max_temp_file_size 0;" in location for location in public)


def test_nginx_takes_all_json_that_the_services_take() -> None:
    [megabytes] = re.findall(r"^    client_max_body_size (\d+)m;", (PROJECT / "config/nginx.conf").read_text(), re.M)

    assert int(megabytes) * MIB > JSON_LIMIT


def test_slow_transfers_leave_threads_of_file_storage_to_other_requests() -> None:
    uwsgi = wsgi("file-storage")
    # The last process takes large uploads alone: map-socket.
    threads = (int(uwsgi["processes"]) - 1) * int(uwsgi["threads"])

    streams = int(nginx()["NGINX_STREAMS"])

    assert int(nginx()["NGINX_STREAMS_OF_AN_ADDRESS"]) < streams < threads


def test_slow_transfers_leave_threads_of_the_embedded_stack_to_other_requests() -> None:
    uwsgi = wsgi("embedded")

    assert STREAMS_OF_AN_ADDRESS < STREAMS < int(uwsgi["processes"]) * int(uwsgi["threads"])


@pytest.mark.parametrize(("service", "settings"), [("file-storage", Settings), ("image-processor", ApiSettings)])
def test_each_thread_finds_a_connection(
    service: str, settings: type[Settings] | type[ApiSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    uwsgi = wsgi(service)
    assert uwsgi["env"] == "PIXMILL_THREADS=%(threads)"

    monkeypatch.setenv("PIXMILL_THREADS", uwsgi["threads"])

    load(settings)


@pytest.mark.parametrize("settings", [Settings, ApiSettings])
def test_each_thread_of_the_embedded_stack_finds_a_connection(
    settings: type[Settings] | type[ApiSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uwsgi = wsgi("embedded")
    assert uwsgi["env"] == "PIXMILL_THREADS=%(threads)"
    for name, value in environment_of(tmp_path, PROJECT, {"PIXMILL_HOST": "127.0.0.1", "PIXMILL_PORT": ""}).items():
        monkeypatch.setenv(name, value)

    monkeypatch.setenv("PIXMILL_THREADS", uwsgi["threads"])

    load(settings)


def test_postgresql_takes_the_connections_of_the_services_and_of_a_large_worker() -> None:
    [command] = [part for part in compose("postgres")["command"] if part.startswith("max_connections=")]
    pools = [
        # The event stream is an additional process of each service.
        (int(wsgi("file-storage")["processes"]) + 1, load(Settings).database.pool_size),
        (int(wsgi("image-processor")["processes"]) + 1, load(ApiSettings).database.pool_size),
        (64 + 1, load(WorkerSettings).database.pool_size),
        # Each file-storage process contains two applications.
        (2 * int(wsgi("file-storage")["processes"]) + 1, load(AccessSettings).database.pool_size),
        # The process of the render service is one more.
        (int(wsgi("image-processor")["processes"]) + 2, load(AccessSettings).database.pool_size),
        # Both event streams read new events over a connection of their own; that of file-storage has one for chores.
        (3, 1),
        (1, load(WebhookSettings).database.pool_size),
    ]

    assert sum(processes * size for processes, size in pools) < int(command.removeprefix("max_connections="))


def test_a_worker_that_is_stopped_has_time_to_hand_back_its_tasks() -> None:
    seconds = load(WorkerSettings).shutdown_seconds

    assert seconds < int(wsgi("embedded")["reload-mercy"])
    assert seconds < int(str(compose("worker")["stop_grace_period"]).removesuffix("s"))


def test_a_sender_of_webhooks_that_is_stopped_has_time_for_its_deliveries() -> None:
    assert int(wsgi("embedded")["reload-mercy"]) > STOP_SECONDS
    assert int(str(compose("webhooks")["stop_grace_period"]).removesuffix("s")) > STOP_SECONDS


def test_only_the_sender_of_webhooks_and_who_generates_it_has_their_secret() -> None:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]

    assert [name for name in services if "config/callbacks.env" in services[name].get("env_file", [])] == [
        "secrets",
        "webhooks",
    ]


@pytest.mark.parametrize("service", ["file-storage", "image-processor"])
def test_the_kernel_lets_as_many_connections_wait_as_uwsgi(service: str) -> None:
    sysctls = compose(service)["sysctls"]
    assert isinstance(sysctls, dict)

    assert int(wsgi(service)["listen"]) <= sysctls["net.core.somaxconn"]


def prefix_of(service: str) -> str:
    return SERVICES[service].model_config.get("env_prefix", "")


def variables(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def nginx() -> dict[str, str]:
    return variables(PROJECT / "config/nginx.env") | variables(PROJECT / "config/limits.env")


def nginx_block(name: str) -> str:
    """Return the lines of the block that begins with ``name`` and holds no other block."""
    [lines] = re.findall(
        rf"^ *{re.escape(name)} {{\n(.*?)^ *}}$", (PROJECT / "config/nginx.conf").read_text(), re.M | re.S
    )
    return str(lines)


def networks_of_services() -> dict[str, set[str]]:
    """Return the networks of each service; docker-compose adds a service that names none to ``default``."""
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    return {
        name: set() if service.get("network_mode") == "none" else set(service.get("networks", ["default"]))
        for name, service in services.items()
    }


def wsgi(service: str) -> dict[str, str]:
    """Return the options of uWSGI; for a repeated option, the last value."""
    parser = ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.read(PROJECT / f"config/{service}/wsgi.ini")
    return dict(parser["uwsgi"])


def compose(service: str) -> dict[str, list[str] | dict[str, int] | str]:
    found: dict[str, list[str] | dict[str, int] | str] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())[
        "services"
    ][service]
    return found

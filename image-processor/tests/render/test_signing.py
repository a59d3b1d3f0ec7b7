"""Signatures, compared with the peers' own client libraries and their published examples."""

import hashlib
import hmac
from base64 import urlsafe_b64encode

import pytest
from image_processor.render.signing import ImagorSigner, ImgproxySigner, NativeSigner, ThumborSigner, check_key
from imgproxy import ImgProxy
from libthumbor import CryptoURL

KEY = "a key of more than sixteen bytes"
OTHER = b"another key of more than sixteen"
HEX_KEY, HEX_SALT = "11" * 32, "22" * 16


@pytest.mark.parametrize(
    "options",
    [
        {"width": 300, "height": 200, "smart": True},
        {"width": -300, "fit_in": True, "filters": ["fill(ff0000)", "quality(80)"]},
        {"crop": ((10, 20), (30, 40)), "halign": "left", "valign": "top", "unsafe": False},
    ],
)
def test_a_url_of_libthumbor_is_accepted(options: dict[str, object]) -> None:
    url = CryptoURL(key=KEY).generate(image_url="example.com/some/photo.jpg", **options)
    signature, _, path = url.removeprefix("/").partition("/")

    assert ThumborSigner([KEY.encode()]).accepts(signature, path.encode())


def test_thumbor_s_signature_is_that_of_libthumbor() -> None:
    signature, _, path = CryptoURL(key=KEY).generate(image_url="42", width=10).removeprefix("/").partition("/")

    assert ThumborSigner([KEY.encode()]).sign(path.encode()) == signature


def test_the_padding_of_a_signature_of_thumbor_may_be_percent_encoded() -> None:
    signer = ThumborSigner([KEY.encode()])

    assert signer.accepts(signer.sign(b"10x10/42").replace("=", "%3D"), b"10x10/42")


def test_a_url_of_imgproxy_s_client_is_accepted() -> None:
    url = str(ImgProxy("local:///42", key=HEX_KEY, salt=HEX_SALT, width=300, height=200, advanced=["q:80"]))
    signature, _, path = url.removeprefix("/").partition("/")

    signer = ImgproxySigner([(bytes.fromhex(HEX_KEY), bytes.fromhex(HEX_SALT))])

    assert signer.accepts(signature, f"/{path}".encode())


def test_a_signature_of_imgproxy_with_padding_is_refused() -> None:
    signer = ImgproxySigner([(bytes.fromhex(HEX_KEY), bytes.fromhex(HEX_SALT))])

    assert not signer.accepts(f"{signer.sign(b'/asd')}=", b"/asd")


def test_a_trusted_word_stands_for_a_signature_of_imgproxy() -> None:
    signer = ImgproxySigner([(b"k" * 16, b"salt")], trusted=frozenset({"internal"}))

    assert signer.accepts("internal", b"/asd")
    assert not signer.accepts("external", b"/asd")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_imagor_s_signature_is_a_cut_hmac(algorithm: str) -> None:
    digest = hmac.new(KEY.encode(), b"10x10/42", getattr(hashlib, algorithm)).digest()

    signer = ImagorSigner([KEY.encode()], algorithm, 20)  # type: ignore[arg-type]  # one of the three names

    assert signer.sign(b"10x10/42") == urlsafe_b64encode(digest).decode()[:20]


def test_imagor_accepts_a_signature_of_the_decoded_path() -> None:
    signer = ImagorSigner([KEY.encode()])

    assert signer.accepts(signer.sign(b"10x10/a b.jpg"), b"10x10/a%20b.jpg")


def test_the_native_signature_is_an_hmac_of_the_path_after_its_slash() -> None:
    digest = hmac.digest(KEY.encode(), b"pixmill-img-1\nexp:1893456000/p:avatar/42", "sha256")

    signature = NativeSigner([KEY.encode()]).sign(b"exp:1893456000/p:avatar/42")

    assert signature == urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.parametrize("path", [b"exp:1893456001/p:avatar/42", b"p:avatar/42", b"exp:1893456000/p:avatar/43"])
def test_a_changed_path_is_refused(path: bytes) -> None:
    signer = NativeSigner([KEY.encode()])

    assert not signer.accepts(signer.sign(b"exp:1893456000/p:avatar/42"), path)


def test_urls_of_an_older_key_are_accepted_and_the_first_key_signs() -> None:
    older, both = NativeSigner([OTHER]), NativeSigner([KEY.encode(), OTHER])

    assert both.accepts(older.sign(b"42"), b"42")
    assert both.sign(b"42") == NativeSigner([KEY.encode()]).sign(b"42")


def test_a_signature_with_letters_beyond_ascii_is_refused() -> None:
    assert not NativeSigner([OTHER]).accepts("подпись", b"42")


@pytest.mark.parametrize("key", ["MY_SECURE_KEY", "mysecret", "1234567890123456"])
def test_a_published_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="published in documentation"):
        check_key(key.encode())


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes, and this one has 15"):
        check_key(b"k" * 15)

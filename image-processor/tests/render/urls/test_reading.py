"""The dialect of a request is recognized, and unsigned requests get no plan."""

import asyncio
import time
from collections.abc import Mapping

import pytest
from image_processor.render.config import RenderSettings
from image_processor.render.plans.plan import FileSource, OriginSource, RenderPlan
from image_processor.render.signing import NativeSigner, ThumborSigner
from image_processor.render.urls import reading
from image_processor.render.urls.presets import RenderPresets
from image_processor.render.urls.reading import Reader, status_of
from imgproxy import ImgProxy
from libthumbor import CryptoURL
from pydantic import ValidationError
from service_kit.errors import DomainError
from service_kit.settings import SettingsError

KEY = "a key of more than sixteen bytes"
HEX_KEY, HEX_SALT = "11" * 32, "22" * 16
PRESETS: Mapping[str, Mapping[str, object]] = {"wide": {"steps": [{"algorithm": "resize", "params": {"width": 7}}]}}


def settings(**sections: object) -> RenderSettings:
    inner = {"inner_secret": "a secret of at least thirty-two bytes"}
    return RenderSettings.model_validate({"presets": {}, "native": {"keys": []}, "file_storage": inner, **sections})


def reader_of(**sections: object) -> Reader:
    return Reader(settings(**sections), RenderPresets(PRESETS))


def plan_of(reader: Reader, target: bytes, host: str = "") -> RenderPlan:
    return asyncio.run(reader.plan(target, host))


def kind_of(reader: Reader, target: bytes, host: str = "") -> str:
    with pytest.raises(DomainError) as caught:
        plan_of(reader, target, host)
    return caught.value.kind


@pytest.mark.parametrize("path", [b"/img/x/42", b"/img/thumbor/unsafe/42", b"/img/imgproxy/x/plain/42", b"/elsewhere"])
def test_without_keys_there_is_no_route(path: bytes) -> None:
    reader = reader_of()

    assert kind_of(reader, path) == "no-render-route"


def test_a_signed_url_of_pixmill_gives_a_plan() -> None:
    reader = reader_of(native={"keys": [KEY]})
    signature = NativeSigner([KEY.encode()]).sign(b"w:100/42.webp")

    plan = plan_of(reader, f"/img/{signature}/w:100/42.webp".encode())

    assert plan.source == FileSource(42)
    assert plan.encoding.output.format == "webp"


def test_a_remembered_url_gives_the_same_plan_and_another_signature_none() -> None:
    reader = reader_of(native={"keys": [KEY]})
    signature = NativeSigner([KEY.encode()]).sign(b"w:100/42.webp")
    first = plan_of(reader, f"/img/{signature}/w:100/42.webp".encode())

    again = plan_of(reader, f"/img/{signature}/w:100/42.webp".encode())

    assert again == first
    assert kind_of(reader, b"/img/wrong/w:100/42.webp") == "wrong-render-signature"


def test_a_remembered_url_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = reader_of(native={"keys": [KEY]})
    expires = int(time.time()) + 1000
    path = f"exp:{expires}/w:100/42.webp"
    target = f"/img/{NativeSigner([KEY.encode()]).sign(path.encode())}/{path}".encode()
    plan_of(reader, target)

    monkeypatch.setattr(time, "time", lambda: float(expires))

    assert kind_of(reader, target) == "expired-render-url"


def test_only_the_last_urls_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_REMEMBERED", 1)
    reader = reader_of(native={"keys": [KEY]})
    signer = NativeSigner([KEY.encode()])
    first, second = (f"/img/{signer.sign(path)}/{path.decode()}".encode() for path in (b"w:1/42", b"w:2/42"))

    plans = [plan_of(reader, target) for target in (first, second, second, first)]

    assert plans[1] is plans[2]
    assert plans[0] == plans[3]
    assert plans[0] is not plans[3]


def test_a_url_of_a_preset_is_read_again_because_presets_change() -> None:
    presets = dict(PRESETS)
    reader = Reader(settings(native={"keys": [KEY]}), RenderPresets(presets))
    target = f"/img/{NativeSigner([KEY.encode()]).sign(b'p:wide/42.webp')}/p:wide/42.webp".encode()
    before = plan_of(reader, target)

    presets["wide"] = {"steps": [{"algorithm": "resize", "params": {"width": 8}}]}

    assert plan_of(reader, target) != before


def test_only_a_preset_s_url_may_mean_something_else_later() -> None:
    reader = reader_of(native={"keys": [KEY]})
    signer = NativeSigner([KEY.encode()])

    preset, inline = (
        plan_of(reader, f"/img/{signer.sign(path.encode())}/{path}".encode()) for path in ("p:wide/42", "w:7/42")
    )

    assert preset.wishes.preset_until is not None
    assert inline.wishes.preset_until is None


def test_an_unsigned_url_says_nothing_about_presets() -> None:
    reader = reader_of(native={"keys": [KEY]})

    assert kind_of(reader, b"/img/wrong/p:secret/42") == "wrong-render-signature"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b"p:wide/42", None),
        (b"p:wide/o:ann/42", None),
        (b"p:narrow/42", "bad-render-option"),
        (b"o:ann/42", "bad-render-option"),
        (b"p:wide/o:..%2F/42", "bad-render-option"),
    ],
)
def test_a_signed_url_names_a_preset_and_perhaps_its_owner(path: bytes, kind: str | None) -> None:
    reader = reader_of(native={"keys": [KEY]})
    target = f"/img/{NativeSigner([KEY.encode()]).sign(path)}/".encode() + path

    if kind is None:
        assert [step.name for step in plan_of(reader, target).steps] == ["resize"]
    else:
        assert kind_of(reader, target) == kind


@pytest.mark.parametrize(
    ("section", "target"),
    [
        ({"thumbor": {"keys": [KEY]}}, b"/img/thumbor/unsafe/42"),
        ({"thumbor": {"keys": [KEY]}}, b"/img/thumbor/42"),
        ({"imagor": {"keys": [KEY]}}, b"/img/imagor/unsafe/42"),
        ({"imagor": {"keys": [KEY]}}, b"/img/imagor/300x200/42"),
        ({"imgproxy": {"keys": [HEX_KEY], "salts": [HEX_SALT]}}, b"/img/imgproxy/unsafe/plain/42"),
    ],
)
def test_a_url_without_a_signature_is_refused(section: Mapping[str, object], target: bytes) -> None:
    reader = reader_of(**section)

    assert kind_of(reader, target) == "wrong-render-signature"


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("thumbor", b"/img/thumbor/unsafe/42"),
        ("imagor", b"/img/imagor/unsafe/42"),
        ("imgproxy", b"/img/imgproxy/any/plain/42"),
        ("imgproxy", str(ImgProxy("local:///42", "/img/imgproxy", resizing_type="fill", width=64)).encode()),
        # The format of imgproxy's client for Node.
        ("imgproxy", b"/img/imgproxy/insecure/rs:fill:64:48/plain/local:///42@png"),
    ],
)
def test_a_setting_allows_urls_without_a_signature(name: str, target: bytes) -> None:
    reader = reader_of(**{name: {"unsafe": True}})

    assert plan_of(reader, target).source == FileSource(42)


def test_a_host_of_its_own_has_the_dialect_at_its_root() -> None:
    reader = reader_of(thumbor={"keys": [KEY], "host": "thumbor.example.org", "path": ""})
    signature = ThumborSigner([KEY.encode()]).sign(b"300x200/42")

    plan = plan_of(reader, f"/{signature}/300x200/42".encode(), "thumbor.example.org:8080")

    assert plan.source == FileSource(42)


@pytest.mark.parametrize("signed", [None, b"300x200/42"])
def test_thumbor_ignores_a_query_that_is_not_signed(signed: bytes | None) -> None:
    """thumbor, handlers/imaging.py: check_image; its issues 691 and 813."""
    reader = reader_of(thumbor={"keys": [KEY], "unsafe": True})
    signature = "unsafe" if signed is None else ThumborSigner([KEY.encode()]).sign(signed)

    plan = plan_of(reader, f"/img/thumbor/{signature}/300x200/42?cache=false".encode())

    assert plan.source == FileSource(42)


def test_a_query_that_libthumbor_has_signed_is_that_of_the_image() -> None:
    reader = reader_of(thumbor={"keys": [KEY]})
    url = CryptoURL(key=KEY).generate(width=300, image_url="http://example.org/a.jpg?v=1&w=2")

    assert plan_of(reader, f"/img/thumbor{url}".encode()).source == OriginSource("http://example.org/a.jpg?v=1&w=2")


def test_the_signature_does_not_depend_on_the_path_before_it() -> None:
    reader = reader_of(thumbor={"keys": [KEY], "path": "/pictures/"})
    signature = ThumborSigner([KEY.encode()]).sign(b"300x200/42")

    assert plan_of(reader, f"/pictures/{signature}/300x200/42".encode()).source == FileSource(42)


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"native": {"keys": ["k" * 31]}}, "at least 32 bytes, and this one has 31: .* `openssl rand -hex 32`"),
        ({"thumbor": {"keys": ["k" * 15]}}, "at least 16 bytes"),
        ({"thumbor": {"keys": ["1234567890123456"]}}, "published in documentation"),
        ({"imgproxy": {"keys": ["zz" * 16], "salts": [HEX_SALT]}}, "hexadecimal"),
        ({"imgproxy": {"keys": [HEX_KEY]}}, "1 keys and 0 salts"),
        ({"imgproxy": {"keys": [HEX_KEY], "salts": [HEX_SALT], "signature_size": 7}}, "greater than or equal to 8"),
        ({"imagor": {"keys": [KEY], "truncate": 16}}, "less than 17"),
    ],
)
def test_keys_that_protect_nothing_stop_the_start(section: Mapping[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        settings(**section)


@pytest.mark.parametrize("line", ["name", "name=", "name=plain", "name=w:abc", "name=nothing:1"])
def test_a_wrong_preset_of_imgproxy_stops_the_start(line: str) -> None:
    with pytest.raises(SettingsError, match="imgproxy"):
        reader_of(imgproxy={"presets": [line]})


@pytest.mark.parametrize(
    "pair", [["(", "x"], ["^a", "$5"], ["^a", "\\d"], ["^z", "$1"], ["(?P<a>b)", "$c"], ["(?P<a>b)", "${1_x}"]]
)
def test_a_wrong_replacement_of_imgproxy_stops_the_start(pair: list[str]) -> None:
    with pytest.raises(SettingsError, match="url_replacements") as stopped:
        reader_of(imgproxy={"url_replacements": [["^ok", "fine"], pair]})

    assert repr(pair[0]) in str(stopped.value)


def test_replacements_of_imgproxy_are_made_in_their_order() -> None:
    pairs = [["^mys3://([^/]+)/", "cats://$1/"], ["(?P<scheme>cats)://", "https://${scheme}.example.org/"]]
    reader = reader_of(imgproxy={"unsafe": True, "url_replacements": pairs})

    plan = plan_of(reader, b"/img/imgproxy/_/plain/mys3://a/b.jpg")

    assert plan.source == OriginSource("https://cats.example.org/a/b.jpg")


SIGNED = {"keys": [KEY]}


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"native": {**SIGNED, "path": ""}}, "native.path"),
        ({"native": SIGNED, "thumbor": {**SIGNED, "path": "/img/"}}, "native.path and thumbor.path are both '/img/'"),
        (
            {"thumbor": {**SIGNED, "path": "/a/"}, "imagor": {"unsafe": True, "path": "/a/"}},
            "thumbor.path and imagor.path are both '/a/'",
        ),
        (
            {"thumbor": {**SIGNED, "host": "a.org"}, "imgproxy": {"unsafe": True, "host": "a.org"}},
            "thumbor.host and imgproxy.host are both 'a.org'",
        ),
        # The URLs of a dialect without a key get 404, and those of others under its path would too.
        ({"thumbor": {**SIGNED, "path": "/img/imagor/"}}, r"thumbor.path \('/img/imagor/'\) is under imagor.path"),
        ({"native": {**SIGNED, "path": "/img/own/"}, "thumbor": {"path": "/img/"}}, "is under thumbor.path"),
    ],
)
def test_dialects_that_would_take_each_other_s_urls_stop_the_start(
    sections: Mapping[str, Mapping[str, object]], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        settings(**sections)


@pytest.mark.parametrize(
    "sections",
    [
        {"thumbor": {**SIGNED, "path": "/img/"}},
        {"native": SIGNED, "thumbor": {**SIGNED, "path": "", "host": "a.org"}, "imagor": {**SIGNED, "path": ""}},
        {"thumbor": {**SIGNED, "host": "a.org"}, "imagor": {"host": "a.org"}},
        {"native": SIGNED, "thumbor": {"path": "/a/"}, "imagor": {"path": "/a/"}},
    ],
)
def test_dialects_without_keys_may_have_the_places_of_others(sections: Mapping[str, Mapping[str, object]]) -> None:
    assert settings(**sections)


@pytest.mark.parametrize(("dialect", "status"), [("thumbor", 400), ("imagor", 403), ("imgproxy", 403), ("native", 403)])
def test_a_wrong_signature_has_the_peer_s_status(dialect: str, status: int) -> None:
    assert status_of(dialect, DomainError("wrong-render-signature", "")) == status


def test_imgproxy_s_information_is_refused_by_its_name() -> None:
    keys = {"keys": [HEX_KEY], "salts": [HEX_SALT]}
    reader = reader_of(imgproxy=keys)

    with pytest.raises(DomainError, match="info") as refused:
        plan_of(reader, b"/img/imgproxy/info/AbCd/plain/42")

    assert status_of("imgproxy", refused.value) == 422

"""Multipart forms (RFC 7578, RFC 2046 5.1): files are staged, other fields are parsed."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from file_storage.intake.multipart import (
    MAX_PARTS,
    TEXT_BYTES_A_FILE,
    Form,
    boundary_of,
    read_files,
    read_parts,
    too_large,
)
from file_storage.storage import StagedBlob, Staging
from flask import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from service_kit.problems import Problem
from werkzeug.test import EnvironBuilder

BOUNDARY = b"AaB03x"
"""The boundary of the examples in RFC 7578."""

NO_LIMIT = 2**40


class SlowBody(BytesIO):
    """A connection that returns at most a few bytes per read."""

    def __init__(self, body: bytes, read_size: int) -> None:
        super().__init__(body)
        self._read_size = read_size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._read_size if size is None or size < 0 else min(size, self._read_size))


def part(disposition: str, content: bytes, more: str = "") -> bytes:
    return f"Content-Disposition: form-data; {disposition}\r\n{more}\r\n".encode() + content


def file_part(content: bytes, filename: str = "a.bin") -> bytes:
    return part(f'name="file"; filename="{filename}"', content, "Content-Type: application/octet-stream\r\n")


def field(name: str, content: bytes) -> bytes:
    return part(f'name="{name}"', content)


def form(*parts: bytes) -> bytes:
    """Return the body of a form, by the grammar of RFC 2046, 5.1.1."""
    return b"".join(b"--" + BOUNDARY + b"\r\n" + content + b"\r\n" for content in parts) + b"--" + BOUNDARY + b"--\r\n"


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path, reserve_bytes=0)


@pytest.fixture
def staged(staging: Staging) -> Iterator[StagedBlob]:
    with staging.stage() as staged:
        yield staged


def read(staged: StagedBlob, body: bytes, max_bytes: int = NO_LIMIT) -> Form:
    """Read a form with a single file, and seal the file's bytes."""
    found = read_parts(BytesIO(body), BOUNDARY, staged, max_bytes)
    staged.seal()
    return found


def problem_with(staged: StagedBlob, body: bytes, max_bytes: int = NO_LIMIT) -> Problem:
    with pytest.raises(Problem) as raised:
        read_parts(BytesIO(body), BOUNDARY, staged, max_bytes)
    return raised.value


def read_many(
    stack: ExitStack, staging: Staging, body: bytes, max_files: int = 10, max_bytes: int = NO_LIMIT
) -> tuple[Sequence[tuple[StagedBlob, str]], object]:
    return read_files(
        BytesIO(body), BOUNDARY, lambda: stack.enter_context(staging.stage()), max_files, max_bytes=max_bytes
    )


def problem_with_many(staging: Staging, body: bytes, max_files: int = 10, max_bytes: int = NO_LIMIT) -> Problem:
    with ExitStack() as stack, pytest.raises(Problem) as raised:
        read_many(stack, staging, body, max_files, max_bytes)
    return raised.value


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b'"\xfcber.jpg"', "\u00fcber.jpg"),
        ('"\u00fcber.jpg"'.encode(), "\u00fcber.jpg"),
        (b'"caf\xe9"', "caf\u00e9"),
        ('"\u0424\u043e\u0442\u043e.jpg"'.encode(), "\u0424\u043e\u0442\u043e.jpg"),
    ],
)
def test_a_file_name_is_utf_8_or_else_latin_1(sent: bytes, name: str, staged: StagedBlob) -> None:
    head = b'Content-Disposition: form-data; name="file"; filename=' + sent + b"\r\n\r\n"

    assert read(staged, form(head + b"content")).filename == name


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"\r\n",
        b"one\r\n\r\ntwo\r\n",
        b"--AaB03x",
        b"--AaB03x--\r\n",
        b"\r\n--AaB03",
        b"\r\n-\r\n--\r\n--A",
        b"\n--AaB03x\n",
        bytes(range(256)),
    ],
)
def test_a_file_has_the_bytes_between_the_delimiters(staged: StagedBlob, content: bytes) -> None:
    read(staged, form(file_part(content)))

    assert staged.open().read() == content
    assert (staged.size, staged.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@settings(max_examples=settings().max_examples // 2)
@given(
    pieces=st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"AaB03", b"x", b"\0"]), max_size=30),
    read_size=st.integers(1, 40),
)
def test_a_file_is_the_same_regardless_of_how_its_form_is_split(pieces: list[bytes], read_size: int) -> None:
    content = b"".join(pieces).replace(b"\r\n--AaB03x", b"")
    body = SlowBody(form(field("comment", b"before"), file_part(content), field("name", b"behind")), read_size)

    with TemporaryDirectory() as folder, Staging(Path(folder), reserve_bytes=0).stage() as staged:
        found = read_parts(body, BOUNDARY, staged, NO_LIMIT)
        staged.seal()
        stored = staged.path.read_bytes()

    assert stored == content
    assert found == Form("a.bin", {"comment": "before", "name": "behind"})


def test_a_preamble_and_an_epilogue_are_ignored(staged: StagedBlob) -> None:
    body = b"This is a preamble.\r\n" + form(file_part(b"content")) + b"This is an epilogue."

    read(staged, body)

    assert staged.open().read() == b"content"


def test_the_last_delimiter_needs_no_line_end(staged: StagedBlob) -> None:
    read(staged, form(file_part(b"content")).removesuffix(b"\r\n"))

    assert staged.open().read() == b"content"


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('name="file"; filename="photo.jpg"', "photo.jpg"),
        ("name=file; filename=photo.jpg", "photo.jpg"),
        ('filename="photo.jpg"; name="file"', "photo.jpg"),
        ('name="file"; filename=""', ""),
        ('name="file"; filename="my photo; old.jpg"', "my photo; old.jpg"),
        ('name="file"; filename="снимок.jpg"', "снимок.jpg"),
        ("name=\"file\"; filename*=UTF-8''%D1%81.jpg", "с.jpg"),
        ('name="file"; filename="_.jpg"; filename*=UTF-8\'\'%D1%81.jpg', "с.jpg"),
        # .NET also sends the name as an encoded word (RFC 2047).
        ("name=file; filename=\"=?utf-8?B?0YEuanBn?=\"; filename*=utf-8''%D1%81.jpg", "с.jpg"),
        # Browsers, and curl since 7.81, escape only quotes, CR and LF.
        (r'name="file"; filename="a\b.txt"', r"a\b.txt"),
        ('name="file"; filename="ends with\\"', "ends with\\"),
        ('name="file"; filename="say %22a%22%0D%0A 100%41.txt"', 'say "a"\r\n 100%41.txt'),
        (r'name="file"; filename="C:\Users\me\new.jpg"', "new.jpg"),
        (r'name="file"; filename="\\server\share\new.jpg"', "new.jpg"),
        ('name="file"; filename="a; filename*=UTF-8\'\'b.txt"', "a; filename*=UTF-8''b.txt"),
        # curl before 7.81 and Python's email package write quoted pairs.
        (r'name="file"; filename="say \"a\".txt"', 'say "a".txt'),
        (r'name="file"; filename="C:\\Users\\me\\new.jpg"', "new.jpg"),
    ],
)
def test_client_names_are_read_in_all_notations(staged: StagedBlob, disposition: str, filename: str) -> None:
    assert read(staged, form(part(disposition, b"content"))).filename == filename


def test_the_media_type_of_a_form_is_case_insensitive() -> None:
    builder = EnvironBuilder(method="POST", content_type="Multipart/Form-Data; Boundary=AaB03x")
    request = Request(builder.get_environ())

    assert boundary_of(request) == b"AaB03x"


def test_header_names_are_case_insensitive(staged: StagedBlob) -> None:
    shouted = b'CONTENT-DISPOSITION: FORM-DATA; NAME="file"; FILENAME="a.bin"\r\n\r\ncontent'

    assert read(staged, form(shouted)).filename == "a.bin"


@pytest.mark.parametrize("fields", [{}, {"name": "photo"}, {"name": "фото", "comment": "two\r\nlines"}, {"name": ""}])
def test_other_parts_are_fields(staged: StagedBlob, fields: Mapping[str, str]) -> None:
    parts = [field(name, text.encode()) for name, text in fields.items()]

    assert read(staged, form(file_part(b"content"), *parts)).fields == fields


def test_fields_may_precede_the_file(staged: StagedBlob) -> None:
    found = read(staged, form(field("name", b"photo"), file_part(b"content")))

    assert found == Form("a.bin", {"name": "photo"})
    assert staged.open().read() == b"content"


@pytest.mark.parametrize("name", ["json", "data"])
def test_the_members_of_a_json_part_are_fields(staged: StagedBlob, name: str) -> None:
    text = '{"name": "фото", "comment": null, "other": [1, {"a": true}]}'.encode()

    found = read(staged, form(file_part(b"content"), field(name, text)))

    assert found.fields == {"name": "фото", "comment": None, "other": [1, {"a": True}]}


def test_a_json_part_may_have_a_file_name(staged: StagedBlob) -> None:
    blob = part('name="json"; filename="blob"', b'{"name": "photo"}', "Content-Type: application/json\r\n")

    found = read(staged, form(blob, file_part(b"content")))

    assert found == Form("a.bin", {"name": "photo"})


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"{'name': 1}", "not valid JSON"),
        (b'{"name": "\xff"}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "must be an object"),
        (b'"name"', "must be an object"),
        (b"null", "must be an object"),
    ],
)
def test_a_json_part_that_is_not_an_object_is_malformed(staged: StagedBlob, text: bytes, detail: str) -> None:
    problem = problem_with(staged, form(file_part(b"content"), field("json", text)))

    assert (problem.kind, problem.status) == ("malformed-upload", 400)
    assert detail in problem.detail


def test_a_field_that_is_not_utf_8_is_malformed(staged: StagedBlob) -> None:
    problem = problem_with(staged, form(file_part(b"content"), field("name", b"\xff")))

    assert (problem.status, problem.detail) == (400, "A form field is not UTF-8.")


@pytest.mark.parametrize("name", ["name", "json"])
def test_a_repeated_field_is_refused(staged: StagedBlob, name: str) -> None:
    text = b'{"comment": "mine"}'

    problem = problem_with(staged, form(file_part(b"content"), field(name, text), field(name, text)))

    assert (problem.kind, problem.status) == ("invalid-fields", 422)
    assert f"more than one '{name}'" in problem.detail


def test_a_field_repeated_in_the_json_part_is_refused(staged: StagedBlob) -> None:
    problem = problem_with(staged, form(file_part(b"content"), field("name", b"a"), field("json", b'{"name": "b"}')))

    assert (problem.kind, problem.status) == ("invalid-fields", 422)


@pytest.mark.parametrize(
    "body",
    [
        form(),
        form(field("name", b"photo")),
        form(field("file", b"without a file name")),
        form(part('name="json"; filename="a.json"', b"{}")),
    ],
)
def test_a_form_without_a_file_is_malformed(staged: StagedBlob, body: bytes) -> None:
    problem = problem_with(staged, body)

    assert (problem.kind, problem.status) == ("malformed-upload", 400)


@pytest.mark.parametrize("name", ["photo", "File", "files[]", ""])
def test_a_file_in_a_part_of_another_name_is_malformed(staged: StagedBlob, name: str) -> None:
    problem = problem_with(staged, form(part(f'name="{name}"; filename="a.bin"', b"content")))

    assert problem.status == 400
    assert f"a part named '{name}'" in problem.detail


def test_a_second_file_in_a_form_for_a_single_file_is_malformed(staged: StagedBlob) -> None:
    problem = problem_with(staged, form(file_part(b"one"), file_part(b"two")))

    assert problem.status == 400
    assert "may have at most 1" in problem.detail


WHOLE = form(field("name", b"photo"), file_part(b"content"))


COMPLETE_LENGTH = len(WHOLE) - len(b"\r\n")
"""Bytes of the form without its last line end, which is optional."""


@pytest.mark.parametrize("length", [*range(0, COMPLETE_LENGTH, 9), COMPLETE_LENGTH - 2, COMPLETE_LENGTH - 1])
def test_a_form_that_ends_early_is_malformed(staged: StagedBlob, length: int) -> None:
    problem = problem_with(staged, WHOLE[:length])

    assert (problem.kind, problem.status) == ("malformed-upload", 400)


@pytest.mark.parametrize("body", [b"", b"content", b"--Other\r\n\r\n--Other--\r\n", b'{"name": "photo"}'])
def test_a_body_that_is_not_a_form_with_this_boundary_is_malformed(staged: StagedBlob, body: bytes) -> None:
    assert problem_with(staged, body).status == 400


def test_a_file_of_the_maximum_size_is_accepted(staged: StagedBlob) -> None:
    read(staged, form(file_part(bytes(1000))), max_bytes=1000)

    assert staged.size == 1000


@pytest.mark.parametrize("size", [1001, 3_000_000])
def test_a_file_above_the_maximum_size_is_refused(staged: StagedBlob, size: int) -> None:
    problem = problem_with(staged, form(file_part(bytes(size))), max_bytes=1000)

    assert problem == too_large(1000)
    assert staged.size <= 1000


def test_a_file_that_is_too_large_gets_413_with_the_limit() -> None:
    problem = too_large(1000)

    assert problem.status == 413
    assert "1000 bytes" in problem.detail


def test_the_limit_of_a_file_does_not_apply_to_fields(staged: StagedBlob) -> None:
    found = read(staged, form(field("comment", b"a" * 5000), file_part(b"x")), max_bytes=1)

    assert found.fields == {"comment": "a" * 5000}


def test_fields_of_the_maximum_total_size_are_accepted(staged: StagedBlob) -> None:
    name, comment = b"n" * 1000, b"c" * (TEXT_BYTES_A_FILE - 1000)

    found = read(staged, form(field("name", name), field("comment", comment), file_part(b"x")))

    assert found.fields == {"name": name.decode(), "comment": comment.decode()}


def test_fields_above_the_maximum_total_size_are_refused(staged: StagedBlob) -> None:
    name, comment = b"n" * 1000, b"c" * (TEXT_BYTES_A_FILE - 999)

    problem = problem_with(staged, form(field("name", name), field("comment", comment), file_part(b"x")))

    assert (problem.kind, problem.status) == ("form-too-large", 413)
    assert str(TEXT_BYTES_A_FILE) in problem.detail


def test_a_form_with_the_maximum_number_of_parts_is_accepted(staged: StagedBlob) -> None:
    fields = [field(f"field{number}", b"") for number in range(MAX_PARTS - 1)]

    assert len(read(staged, form(*fields, file_part(b"x"))).fields) == MAX_PARTS - 1


def test_a_form_with_too_many_parts_is_refused(staged: StagedBlob) -> None:
    fields = [field(f"field{number}", b"") for number in range(MAX_PARTS)]

    problem = problem_with(staged, form(*fields, file_part(b"x")))

    assert (problem.kind, problem.status) == ("form-too-large", 413)


@pytest.mark.parametrize("more", ["X-Long: " + "a" * 5000 + "\r\n", "X-Header: a\r\n" * 8])
def test_a_part_with_too_large_headers_is_refused(staged: StagedBlob, more: str) -> None:
    problem = problem_with(staged, form(part('name="file"; filename="a.bin"', b"x", more)))

    assert (problem.kind, problem.status) == ("form-too-large", 413)


def test_several_files_keep_their_order_and_names(staging: Staging) -> None:
    body = form(file_part(b"one", "1.bin"), file_part(b"", "2.bin"), file_part(b"one", "1.bin"))

    with ExitStack() as stack:
        files, _ = read_many(stack, staging, body)
        for blob, _ in files:
            blob.seal()
        found = [(blob.path.read_bytes(), name) for blob, name in files]

    assert found == [(b"one", "1.bin"), (b"", "2.bin"), (b"one", "1.bin")]


@pytest.mark.parametrize("metadata", [[{"name": "a"}, None], {"a": 1}, [], "text", None])
def test_the_json_part_of_several_files_may_be_any_json(staging: Staging, metadata: object) -> None:
    with ExitStack() as stack:
        _, found = read_many(stack, staging, form(file_part(b"x"), field("json", json.dumps(metadata).encode())))

    assert found == metadata


def test_several_files_need_no_json_part(staging: Staging) -> None:
    with ExitStack() as stack:
        _, found = read_many(stack, staging, form(file_part(b"x")))

    assert found is None


@pytest.mark.parametrize("name", ["name", "data", "comment"])
def test_several_files_allow_no_field_other_than_json(staging: Staging, name: str) -> None:
    problem = problem_with_many(staging, form(file_part(b"x"), field(name, b"{}")))

    assert problem.status == 400
    assert f"a part '{name}'" in problem.detail


def test_the_maximum_number_of_files_is_accepted(staging: Staging) -> None:
    with ExitStack() as stack:
        files, _ = read_many(stack, staging, form(*[file_part(b"x")] * 20), max_files=20)

    assert len(files) == 20


def test_too_many_files_are_malformed(staging: Staging) -> None:
    problem = problem_with_many(staging, form(*[file_part(b"x")] * 21), max_files=20)

    assert problem.status == 400
    assert "may have at most 20" in problem.detail


def test_the_limit_applies_to_each_of_several_files(staging: Staging) -> None:
    with ExitStack() as stack:
        files, _ = read_many(stack, staging, form(file_part(bytes(10)), file_part(bytes(10))), max_bytes=10)

    assert [blob.size for blob, _ in files] == [10, 10]


def test_a_single_file_that_is_too_large_refuses_all_files(staging: Staging) -> None:
    problem = problem_with_many(staging, form(file_part(b"x"), file_part(bytes(11))), max_bytes=10)

    assert problem == too_large(10)


def test_a_form_for_several_files_without_a_file_is_malformed(staging: Staging) -> None:
    assert problem_with_many(staging, form(field("json", b"[]"))).status == 400


def test_refused_files_leave_nothing_behind(staging: Staging, tmp_path: Path) -> None:
    problem_with_many(staging, form(file_part(b"one"), file_part(b"two"), field("json", b"{")))

    assert list(tmp_path.iterdir()) == []


def request_of(content_type: str | None) -> Request:
    environ = EnvironBuilder(method="POST").get_environ()
    if content_type is not None:
        environ["CONTENT_TYPE"] = content_type.encode().decode("latin-1")  # as in PEP 3333
    return Request(environ)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=AaB03x", b"AaB03x"),
        ('multipart/form-data; boundary="AaB03x"', b"AaB03x"),
        # RFC 2046, 5.1.1: a boundary with a colon or a space is quoted.
        ('multipart/form-data; boundary="gc0pJq0M:08jU534c0p"', b"gc0pJq0M:08jU534c0p"),
        ('multipart/form-data; boundary="a b"', b"a b"),
        ("multipart/form-data; charset=utf-8; boundary=AaB03x", b"AaB03x"),
        ("multipart/form-data; Boundary=AaB03x", b"AaB03x"),
        (f"multipart/form-data; boundary={'-' * 70}", b"-" * 70),
    ],
)
def test_the_boundary_is_read_from_the_content_type(content_type: str, boundary: bytes) -> None:
    assert boundary_of(request_of(content_type)) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=граница",
        f"multipart/form-data; boundary={'a' * 201}",
    ],
)
def test_a_form_without_a_usable_boundary_is_malformed(content_type: str) -> None:
    with pytest.raises(Problem) as raised:
        boundary_of(request_of(content_type))

    assert (raised.value.kind, raised.value.status) == ("malformed-upload", 400)


@pytest.mark.parametrize(
    "content_type", [None, "", "application/json", "multipart/mixed; boundary=AaB03x", "image/png", "form-data"]
)
def test_a_body_of_another_type_is_not_supported(content_type: str | None) -> None:
    with pytest.raises(Problem) as raised:
        boundary_of(request_of(content_type))

    assert (raised.value.kind, raised.value.status) == ("unsupported-media-type", 415)

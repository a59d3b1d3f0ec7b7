"""Images by URL, thumbnails and previews, over HTTP."""

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from PIL import Image, ImageChops, ImageStat

from tests.support.client import CERTIFICATES, FILES, TASKS, Served, assert_problem, http, new_key, stored_so_far
from tests.support.images import opened, photo
from tests.support.processes import frozen
from tests.support.raw_http import begun
from tests.support.render_service import await_running, metric, render_processes, signed
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

CROWD = 200
RENDERS = "pixmill_renders_total"


@pytest.fixture
def file_id(pixmill: Served) -> Iterator[object]:
    """Return the id of a photograph that no other test uses, so that the cache contains no render of it."""
    yield pixmill.files.upload(_new_photo(), name="photo.jpg").id


@pytest.fixture
def behind_nginx(full: Stack) -> Iterator[Served]:
    """Return the stack that has nginx."""
    with Served(full.url) as pixmill:
        yield pixmill


@pytest.fixture
def photo_id(behind_nginx: Served) -> object:
    """Return the same as `file_id`, on the stack that has nginx."""
    return behind_nginx.files.upload(_new_photo(), name="photo.jpg").id


def _new_photo() -> bytes:
    return photo(600 + time.time_ns() % 1000, 400, format="JPEG")


def test_a_signed_url_gives_a_picture_of_its_size(pixmill: Served, file_id: object) -> None:
    response = pixmill.http.get(signed(file_id, w=200))

    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "image/jpeg"
    assert opened(response.content).width == 200


@pytest.mark.both_stacks
def test_a_picture_may_be_shown_by_other_sites_and_runs_nothing(pixmill: Served, file_id: object) -> None:
    headers = pixmill.http.get(signed(file_id, w=200)).headers

    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers.get_list("Date") == [headers["Date"]]


def test_caches_may_keep_a_picture_up_to_the_expiry_of_its_url(pixmill: Served, file_id: object) -> None:
    unlimited = pixmill.http.get(signed(file_id, w=200)).headers["Cache-Control"]
    limited = pixmill.http.get(signed(file_id, w=200, exp=int(time.time()) + 1000)).headers["Cache-Control"]

    assert unlimited == "public, max-age=2592000"
    assert 0 < int(limited.removeprefix("private, max-age=")) <= 1000


def test_an_expired_url_answers_410(pixmill: Served, file_id: object) -> None:
    assert_problem(pixmill.http.get(signed(file_id, w=200, exp=1_000_000_000)), 410, "expired")


def test_a_wrong_signature_answers_403(pixmill: Served, file_id: object) -> None:
    forged = signed(file_id, "a key that the server has not", w=200)

    assert_problem(pixmill.http.get(forged), 403, "signature")


def test_a_dialect_without_a_key_answers_404(pixmill: Served, file_id: object) -> None:
    for path in (f"/img/thumbor/unsafe/200x0/{file_id}", f"/img/imgproxy/insecure/w:200/plain/{file_id}"):
        assert_problem(pixmill.http.get(path), 404, "nothing")


def test_a_missing_file_answers_404_and_no_cache_keeps_that(pixmill: Served) -> None:
    response = pixmill.http.get(signed(987_654_321, w=200))

    assert_problem(response, 404, "987654321")
    assert response.headers["Cache-Control"] == "no-store"


def test_a_file_that_is_not_a_picture_answers_422(pixmill: Served) -> None:
    text = pixmill.files.upload(b"no picture", name="a.txt").id

    assert_problem(pixmill.http.get(signed(text, w=200)), 422, "image")


@pytest.mark.both_stacks
def test_another_method_answers_405(pixmill: Served, file_id: object) -> None:
    response = pixmill.http.post(signed(file_id, w=200), content=b"")

    assert_problem(response, 405, "POST")
    assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.both_stacks
def test_a_known_etag_answers_304_without_a_render(pixmill: Served, stack: Stack, file_id: object) -> None:
    url = signed(file_id, w=210)
    tag = pixmill.http.get(url).headers["ETag"]
    pixmill.http.delete(f"{TASKS}/renders/{file_id}").raise_for_status()
    before = metric(stack, RENDERS)

    response = pixmill.http.get(url, headers={"If-None-Match": f'"other", {tag}'})

    assert response.status_code == 304
    assert response.headers["ETag"] == tag
    assert metric(stack, RENDERS) == before


def test_a_picture_that_is_not_newer_answers_304(pixmill: Served, file_id: object) -> None:
    url = signed(file_id, w=210)
    modified = pixmill.http.get(url).headers["Last-Modified"]

    response = pixmill.http.get(url, headers={"If-Modified-Since": modified})

    assert response.status_code == 304


@pytest.mark.both_stacks
def test_head_says_what_get_gives(pixmill: Served, file_id: object) -> None:
    url = signed(file_id, w=220)

    head, get = pixmill.http.head(url), pixmill.http.get(url)

    assert head.status_code == 200
    assert head.content == b""
    for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified", "Cache-Control"):
        assert head.headers[name] == get.headers[name]


def test_head_of_a_missing_file_answers_404(pixmill: Served) -> None:
    assert pixmill.http.head(signed(987_654_321, w=200)).status_code == 404


@pytest.mark.both_stacks
def test_a_range_gives_these_bytes(pixmill: Served, file_id: object) -> None:
    url = signed(file_id, w=230)
    whole = pixmill.http.get(url).content

    response = pixmill.http.get(url, headers={"Range": "bytes=10-19"})

    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes 10-19/{len(whole)}"
    assert response.content == whole[10:20]


def test_a_range_after_the_end_answers_416(pixmill: Served, file_id: object) -> None:
    response = pixmill.http.get(signed(file_id, w=230), headers={"Range": "bytes=99999999-"})

    assert_problem(response, 416, "bytes")
    assert response.headers["Content-Range"].startswith("bytes */")


def test_a_range_of_another_version_gives_all_bytes(pixmill: Served, file_id: object) -> None:
    response = pixmill.http.get(signed(file_id, w=230), headers={"Range": "bytes=10-19", "If-Range": '"older"'})

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/avif,image/webp,*/*", "image/avif"),
        ("image/webp,*/*", "image/webp"),
        ("image/avif;q=0.5,image/webp", "image/webp"),
        ("image/avif;q=0,image/webp;q=0", "image/jpeg"),
        ("*/*", "image/jpeg"),
    ],
)
def test_the_client_chooses_the_format(pixmill: Served, file_id: object, accept: str, media_type: str) -> None:
    response = pixmill.http.get(signed(file_id, w=240), headers={"Accept": accept})

    assert response.headers["Content-Type"] == media_type
    assert response.headers["Vary"] == "Accept"


@pytest.mark.parametrize("options", [{"p": "web"}, {"p": "avatar", "f": "auto"}])
def test_the_client_chooses_the_format_that_a_url_calls_auto(
    pixmill: Served, file_id: object, options: dict[str, str]
) -> None:
    url = signed(file_id, **options)

    webp, jpeg = (pixmill.http.get(url, headers={"Accept": accept}) for accept in ("image/webp", "image/*"))

    assert [each.headers["Content-Type"] for each in (webp, jpeg)] == ["image/webp", "image/jpeg"]
    assert [each.headers["Vary"] for each in (webp, jpeg)] == ["Accept", "Accept"]
    assert webp.headers["ETag"] != jpeg.headers["ETag"]


def test_a_url_that_names_a_format_does_not_vary(pixmill: Served, file_id: object) -> None:
    response = pixmill.http.get(signed(f"{file_id}.png", w=240), headers={"Accept": "image/avif"})

    assert response.headers["Content-Type"] == "image/png"
    assert "Vary" not in response.headers


def test_a_deleted_file_ends_its_pictures(pixmill: Served, file_id: object) -> None:
    url = signed(file_id, w=250)
    assert pixmill.http.get(url).status_code == 200

    pixmill.http.delete(f"{FILES}/{file_id}").raise_for_status()

    wait_until(lambda: pixmill.http.get(url).status_code == 404, "the picture is gone")


@pytest.mark.both_stacks
def test_removing_the_renders_of_a_deleted_file_ends_them_at_once(pixmill: Served, file_id: object) -> None:
    url = signed(file_id, w=250)
    assert pixmill.http.get(url).status_code == 200
    pixmill.http.delete(f"{FILES}/{file_id}").raise_for_status()

    removed = pixmill.http.delete(f"{TASKS}/renders/{file_id}")

    assert removed.status_code == 204
    assert pixmill.http.get(url).status_code == 404


def test_removed_renders_are_made_again(pixmill: Served, stack: Stack, file_id: object) -> None:
    url = signed(file_id, w=250)
    first = pixmill.http.get(url).content
    pixmill.http.delete(f"{TASKS}/renders/{file_id}").raise_for_status()
    before = metric(stack, RENDERS)

    second = pixmill.http.get(url).content

    assert second == first
    assert metric(stack, RENDERS) == before + 1


def test_the_renders_of_a_file_are_removed_though_they_were_made_for_another_one_with_the_same_bytes(
    pixmill: Served, stack: Stack
) -> None:
    content = _new_photo()
    rendered, same = (pixmill.files.upload(content, name=name).id for name in ("photo.jpg", "same.jpg"))
    url = signed(rendered, w=256)
    pixmill.http.get(url).raise_for_status()
    before = metric(stack, RENDERS)

    pixmill.http.delete(f"{TASKS}/renders/{same}").raise_for_status()

    pixmill.http.get(url).raise_for_status()
    assert metric(stack, RENDERS) == before + 1


def test_the_audit_trail_says_who_removed_renders_and_signed_urls(pixmill: Served) -> None:
    owner = f"owner-{time.time_ns()}"
    headers = {"Authorization": f"Bearer {new_key(pixmill, owner, 'writer')}"}
    files = {"file": ("a.png", photo(50, 40))}
    file_id = pixmill.http.post(f"{FILES}/", files=files, headers=headers).json()["id"]

    pixmill.http.post(f"{TASKS}/render-urls", json={"file_id": file_id}, headers=headers).raise_for_status()
    pixmill.http.delete(f"{TASKS}/renders/{file_id}", headers=headers).raise_for_status()

    def recorded() -> set[tuple[str, int]]:
        entries = pixmill.http.get("/api/audit", params={"owner": owner}).json()
        return {(entry["object"], entry["status"]) for entry in entries}

    made = {(f"{TASKS}/render-urls", 201), (f"{TASKS}/renders/{file_id}", 204)}
    wait_until(lambda: made <= recorded(), "the entries are written")


def test_nginx_sends_an_image_that_is_asked_for_often(full: Stack, behind_nginx: Served, photo_id: object) -> None:
    url = signed(photo_id, w=251)
    first = _kept_by_nginx(behind_nginx, url)
    before = metric(full, "pixmill_render_hits_total")

    response = behind_nginx.http.get(url)

    assert response.content == first
    assert metric(full, "pixmill_render_hits_total") == before
    assert "X-Accel-Expires" not in response.headers


def test_nginx_sends_an_image_whose_url_expires(full: Stack, behind_nginx: Served, photo_id: object) -> None:
    url = signed(photo_id, w=250, exp=int(time.time()) + 1000)
    first = _kept_by_nginx(behind_nginx, url)
    before = metric(full, "pixmill_render_hits_total")

    response = behind_nginx.http.get(url)

    assert response.content == first
    assert response.headers["Cache-Control"].startswith("private, ")
    assert metric(full, "pixmill_render_hits_total") == before


def test_nginx_answers_conditions_and_the_service_ranges_of_a_kept_image(
    full: Stack, behind_nginx: Served, photo_id: object
) -> None:
    url = signed(photo_id, w=252)
    content = _kept_by_nginx(behind_nginx, url)
    tag = behind_nginx.http.get(url).headers["ETag"]
    before = metric(full, "pixmill_render_requests_total", 'status="304"')

    known = behind_nginx.http.get(url, headers={"If-None-Match": f'"other", {tag}'})
    part = behind_nginx.http.get(url, headers={"Range": "bytes=10-19"})
    wrong = behind_nginx.http.get(url, headers={"Range": "bytes=99999999-"})

    assert (known.status_code, known.headers["ETag"]) == (304, tag)
    assert metric(full, "pixmill_render_requests_total", 'status="304"') == before
    assert (part.status_code, part.content) == (206, content[10:20])
    assert_problem(wrong, 416, "bytes")


def test_nginx_keeps_an_image_for_each_format_that_a_client_may_choose(behind_nginx: Served, photo_id: object) -> None:
    url = signed(photo_id, w=253)
    accepted = {"*/*": "jpeg", "image/avif,image/webp,*/*": "avif", "image/webp": "webp", "image/avif;q=0": "jpeg"}

    for _ in range(4):
        found = {accept: behind_nginx.http.get(url, headers={"Accept": accept}) for accept in accepted}

    assert {accept: each.headers["Content-Type"] for accept, each in found.items()} == {
        accept: f"image/{name}" for accept, name in accepted.items()
    }


def test_what_nginx_keeps_ends_at_once_when_the_renders_of_a_file_are_removed(
    behind_nginx: Served, photo_id: object
) -> None:
    urls = [signed(photo_id, w=254, fn="a b+c'~%.jpg"), signed(photo_id, w=255)]
    for url in urls:
        _kept_by_nginx(behind_nginx, url)
    behind_nginx.http.delete(f"{FILES}/{photo_id}").raise_for_status()

    behind_nginx.http.delete(f"{TASKS}/renders/{photo_id}").raise_for_status()

    assert [behind_nginx.http.get(url).status_code for url in urls] == [404, 404]


def test_what_nginx_keeps_ends_when_the_renders_of_another_file_with_the_same_bytes_are_removed(
    full: Stack, behind_nginx: Served
) -> None:
    content = _new_photo()
    rendered, same = (behind_nginx.files.upload(content, name=name).id for name in ("photo.jpg", "same.jpg"))
    url = signed(rendered, w=258)
    _kept_by_nginx(behind_nginx, url)
    before = metric(full, RENDERS)

    behind_nginx.http.delete(f"{TASKS}/renders/{same}").raise_for_status()

    behind_nginx.http.get(url).raise_for_status()
    assert metric(full, RENDERS) == before + 1


def test_nginx_keeps_nothing_that_needs_a_key(full: Stack, behind_nginx: Served, photo_id: object) -> None:
    place = f"{TASKS}/thumbnails/{photo_id}/128"
    for _ in range(3):
        behind_nginx.http.get(place).raise_for_status()
    before = metric(full, "pixmill_render_hits_total")

    behind_nginx.http.get(place).raise_for_status()

    assert metric(full, "pixmill_render_hits_total") == before + 1


def test_clients_cannot_have_nginx_forget_an_image(behind_nginx: Served, photo_id: object) -> None:
    url = signed(photo_id, w=257)
    _kept_by_nginx(behind_nginx, url)

    response = behind_nginx.http.get(url, headers={"X-Pixmill-Forget": "1"})

    assert response.status_code == 200
    assert response.headers["Server-Timing"] == "cache;desc=hit"


def _kept_by_nginx(pixmill: Served, url: str) -> bytes:
    """Request an image until nginx serves it from its cache; return its bytes."""

    def content() -> bytes | None:
        response = pixmill.http.get(url).raise_for_status()
        # The service adds the duration of file lookups.
        return response.content if response.headers["Server-Timing"] == "cache;desc=hit" else None

    return wait_until(content, "nginx keeps the image")


def test_a_crowd_that_wants_the_same_picture_waits_for_one_render(
    pixmill: Served, stack: Stack, file_id: object
) -> None:
    url = f"{stack.url}{signed(file_id, w=260)}"
    renders, joined = metric(stack, RENDERS), metric(stack, "pixmill_render_joined_total")

    with ThreadPoolExecutor(CROWD) as crowd:
        with frozen(render_processes(stack)):
            responses = [crowd.submit(http.get, url, timeout=120) for _ in range(CROWD)]
            wait_until(
                lambda: metric(stack, "pixmill_render_joined_total") == joined + CROWD - 1, "all wait for the first"
            )
        found = {(response.result().status_code, response.result().content) for response in responses}

    assert {status for status, _ in found} == {200}
    assert len(found) == 1
    assert metric(stack, RENDERS) == renders + 1


def test_a_killed_process_fails_what_it_was_rendering_and_nothing_else(
    pixmill: Served, stack: Stack, file_id: object
) -> None:
    url = f"{stack.url}{signed(file_id, w=270)}"
    # A stack is ready before its render service has started all its processes.
    wait_until(lambda: _content_of(f"{stack.url}{signed(file_id, w=269)}"), "the service renders")

    with ThreadPoolExecutor(1) as client:
        processes = render_processes(stack)
        with frozen(processes):
            response = client.submit(http.get, url, timeout=120)
            await_running(stack, 1)
            for process in processes:
                os.kill(process, signal.SIGKILL)

    assert_problem(response.result(), 503, "try again")
    assert int(response.result().headers["Retry-After"]) >= 1
    assert opened(wait_until(lambda: _content_of(url), "the picture is rendered")).width == 270


def _content_of(url: str) -> bytes | None:
    response = http.get(url, timeout=120)
    return response.content if response.status_code == 200 else None


@pytest.mark.parametrize("size", [128, 1024])
def test_a_thumbnail_is_a_webp_that_fits_and_never_changes(pixmill: Served, file_id: object, size: int) -> None:
    response = pixmill.http.get(f"{TASKS}/thumbnails/{file_id}/{size}")

    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "image/webp"
    assert "immutable" in response.headers["Cache-Control"]
    assert max(opened(response.content).size) <= size


def test_a_thumbnail_is_found_by_the_bytes_of_its_file(pixmill: Served, file_id: object) -> None:
    sha256 = pixmill.http.get(f"{FILES}/{file_id}").json()["sha256"]

    by_bytes = pixmill.http.get(f"{TASKS}/thumbnails/sha256/{sha256}/256")

    assert by_bytes.status_code == 200, by_bytes.text
    assert by_bytes.content == pixmill.http.get(f"{TASKS}/thumbnails/{file_id}/256").content


def test_a_thumbnail_makes_neither_a_file_nor_a_task(pixmill: Served, file_id: object) -> None:
    before = stored_so_far(pixmill)

    pixmill.http.get(f"{TASKS}/thumbnails/{file_id}/256").raise_for_status()

    assert stored_so_far(pixmill) == before


@pytest.mark.parametrize(
    ("method", "place"),
    [
        ("GET", "thumbnails/{file_id}/128"),
        ("GET", f"thumbnails/sha256/{'0' * 64}/128"),
        ("GET", "metadata/{file_id}"),
        ("POST", "preview"),
        ("POST", "render-urls"),
        ("DELETE", "renders/{file_id}"),
    ],
)
def test_an_unknown_parameter_is_refused(pixmill: Served, file_id: object, method: str, place: str) -> None:
    response = pixmill.http.request(method, f"{TASKS}/{place.format(file_id=file_id)}", params={"size": 1})

    assert_problem(response, 422, "size")


@pytest.mark.parametrize("place", ["1/100", "0/128", "x/128", "sha256/0123/128", f"sha256/{'0' * 64}/128"])
def test_there_are_no_other_thumbnails(pixmill: Served, place: str) -> None:
    assert pixmill.http.get(f"{TASKS}/thumbnails/{place}").status_code == 404


@pytest.mark.both_stacks
def test_a_thumbnail_needs_a_key_where_others_do(pixmill: Served, file_id: object) -> None:
    # A request that comes through a proxy is not from this machine's own user.
    response = pixmill.http.get(f"{TASKS}/thumbnails/{file_id}/128", headers={"X-Forwarded-For": "192.0.2.1"})

    assert_problem(response, 401, "key")


@pytest.mark.both_stacks
def test_metadata_is_returned_without_a_task_and_kept(pixmill: Served, stack: Stack, file_id: object) -> None:
    before = stored_so_far(pixmill)
    url = f"{TASKS}/metadata/{file_id}"

    first = pixmill.http.get(url)
    made = metric(stack, RENDERS)
    again = pixmill.http.get(url, params={"parts": "colors"})
    unchanged = pixmill.http.get(url, headers={"If-None-Match": first.headers["ETag"]})

    assert first.status_code == 200, first.text
    assert list(first.json()) == ["info", "exif", "histogram", "colors", "blurhash"]
    assert (first.json()["info"]["format"], first.json()["info"]["height"]) == ("jpeg", 400)
    assert again.json() == {"colors": first.json()["colors"]}
    assert unchanged.status_code == 304
    assert metric(stack, RENDERS) == made
    assert stored_so_far(pixmill) == before
    assert first.headers["Cache-Control"].startswith("private")


def test_metadata_that_cannot_be_read_is_a_problem(pixmill: Served) -> None:
    text = pixmill.files.upload(b"no picture", name="a.txt").id

    assert_problem(pixmill.http.get(f"{TASKS}/metadata/{text}"), 422, "image")
    assert_problem(pixmill.http.get(f"{TASKS}/metadata/{text}", params={"parts": "faces"}), 422, "faces")
    assert_problem(pixmill.http.get(f"{TASKS}/metadata/987654321"), 404, "987654321")
    assert_problem(pixmill.http.get(f"{TASKS}/metadata/1.5"), 404, "nothing")


@pytest.mark.both_stacks
def test_an_owner_s_preset_works_in_previews_and_urls_which_follow_its_changes(pixmill: Served) -> None:
    key = new_key(pixmill, f"owner-{time.time_ns()}", "writer")
    headers = {"Authorization": f"Bearer {key}"}
    source = pixmill.http.post(
        f"{FILES}/", files={"file": ("a.jpg", photo(300, 200, format="JPEG"))}, headers=headers
    ).json()["id"]

    def put(width: int) -> int:
        steps = [{"algorithm": "resize", "params": {"width": width}}]
        body = {"params": {"steps": steps, "output": {"format": "png"}}}
        return pixmill.http.put(f"{TASKS}/presets/mine", json=body, headers=headers).status_code

    def shown() -> int:
        return opened(pixmill.http.get(made["url"]).content).width

    assert put(60) == 201
    wanted = {"file_id": source, "preset": "mine"}
    made = pixmill.http.post(f"{TASKS}/render-urls", json=wanted, headers=headers).json()
    preview = pixmill.http.post(f"{TASKS}/preview", json=wanted, headers=headers)

    assert (opened(preview.content).width, shown()) == (60, 60)
    headers_of_url = pixmill.http.get(made["url"]).headers
    assert headers_of_url["Cache-Control"] == "public, max-age=60"
    assert "Last-Modified" not in headers_of_url
    assert put(40) == 200
    wait_until(lambda: shown() == 40)
    preview = pixmill.http.post(f"{TASKS}/preview", json=wanted, headers=headers)
    assert opened(preview.content).width == 40


@pytest.mark.both_stacks
def test_a_preview_gives_what_the_steps_make_smaller(pixmill: Served, file_id: object) -> None:
    steps = [{"algorithm": "rotate", "params": {"angle": 90}}, {"algorithm": "grayscale"}]
    before = stored_so_far(pixmill)

    response = pixmill.http.post(
        f"{TASKS}/preview",
        json={"file_id": file_id, "steps": steps, "output": {"format": "png"}, "max_side": 100},
    )

    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "image/png"
    assert "render;dur=" in response.headers["Server-Timing"]
    assert opened(response.content).height == 100
    assert opened(response.content).mode == "L"
    assert stored_so_far(pixmill) == before


@pytest.mark.both_stacks
def test_a_preview_counts_pixels_of_the_whole_picture(pixmill: Served) -> None:
    file_id = pixmill.files.upload(photo(1600, 1200), name="photo.png").id
    params = {"unit": "px", "left": 1200, "top": 0, "width": 200, "height": 300}

    response = pixmill.http.post(
        f"{TASKS}/preview",
        json={
            "file_id": file_id,
            "steps": [{"algorithm": "crop", "params": params}],
            "output": {"format": "png"},
            "max_side": 150,
        },
    )

    assert response.status_code == 200, response.text
    assert response.headers["X-Pixmill-Full-Size"] == "200x300"
    wanted = opened(photo(1600, 1200)).crop((1200, 0, 1400, 300)).resize((100, 150), Image.Resampling.LANCZOS)
    difference = ImageChops.difference(opened(response.content), wanted)
    assert max(ImageStat.Stat(difference).mean) < 1


def test_a_preview_of_an_analysis_is_json(pixmill: Served, file_id: object) -> None:
    response = pixmill.http.post(f"{TASKS}/preview", json={"file_id": file_id, "steps": [{"algorithm": "info"}]})

    assert response.status_code == 200, response.text
    assert response.json()["width"] > 0
    assert "X-Pixmill-Full-Size" not in response.headers


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"file_id": 987_654_321, "steps": []}, 404, "987654321"),
        ({"file_id": 1, "steps": [{"algorithm": "blr"}]}, 422, "blr"),
        ({"file_id": 1, "steps": [{"algorithm": "blur", "params": {"radius": -1}}]}, 422, "/steps/0/params/radius"),
        ({"file_id": 1, "steps": [], "max_side": 1}, 422, "max_side"),
        ({"file_id": 1}, 422, "either steps or preset"),
        ({"file_id": 1, "steps": [], "preset": "web"}, 422, "either steps or preset"),
        ({"file_id": 1, "preset": "web", "output": {"format": "png"}}, 422, "its own output"),
        ({"file_id": 1, "preset": "no-such"}, 404, "no-such"),
        ({"steps": []}, 422, "file_id"),
    ],
)
def test_a_wrong_preview_is_refused_with_the_field(pixmill: Served, body: object, status: int, word: str) -> None:
    assert_problem(pixmill.http.post(f"{TASKS}/preview", json=body), status, word)


def test_a_body_that_is_not_json_is_refused(pixmill: Served) -> None:
    assert_problem(
        pixmill.http.post(f"{TASKS}/preview", content=b"{", headers={"Content-Type": "application/json"}), 400, "json"
    )


@pytest.mark.both_stacks
def test_a_preview_is_stopped_when_its_client_leaves(pixmill: Served, stack: Stack, file_id: object) -> None:
    left = 'reason="client left"'
    killed = metric(stack, "pixmill_render_killed_total", left)
    body = json.dumps({"file_id": file_id, "steps": [{"algorithm": "grayscale"}]}).encode()
    as_json = {"Content-Type": "application/json"}

    with frozen(render_processes(stack)):
        with begun(stack.url, f"POST {TASKS}/preview", len(body), headers=as_json) as client:
            client.sendall(body)
            await_running(stack, 1)

        wait_until(lambda: metric(stack, "pixmill_render_killed_total", left) == killed + 1, "the render is stopped")


@pytest.mark.both_stacks
def test_urls_for_a_page_are_signed_and_give_their_sizes(pixmill: Served, file_id: object) -> None:
    wanted = {"file_id": file_id, "widths": [100, 200], "formats": ["avif", "webp"], "expires_in": 3600}

    made = pixmill.http.post(f"{TASKS}/render-urls", json=wanted)

    assert made.status_code == 201, made.text
    variants = [entry.split(" ") for entry in made.json()["srcset"].split(", ")]
    assert [name for _, name in variants] == ["100w", "200w"]
    assert [opened(pixmill.http.get(url).content).width for url, _ in variants] == [100, 200]
    assert [source["type"] for source in made.json()["sources"]] == ["image/avif", "image/webp"]
    of_webp = made.json()["sources"][1]["srcset"].split(" ")[0]
    assert pixmill.http.get(of_webp).headers["Content-Type"] == "image/webp"
    assert made.json()["expires_at"] > time.time()


def test_a_url_with_steps_gives_what_they_make(pixmill: Served, file_id: object) -> None:
    wanted = {"file_id": file_id, "steps": [{"algorithm": "grayscale"}], "output": {"format": "png"}}

    made = pixmill.http.post(f"{TASKS}/render-urls", json=wanted)

    assert made.status_code == 201, made.text
    assert opened(pixmill.http.get(made.json()["url"]).content).mode == "L"


def test_a_url_with_an_output_alone_is_the_image_in_it(pixmill: Served, file_id: object) -> None:
    made = pixmill.http.post(f"{TASKS}/render-urls", json={"file_id": file_id, "output": {"format": "png"}})

    assert made.status_code == 201, made.text
    assert opened(pixmill.http.get(made.json()["url"]).content).format == "PNG"


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"steps": [{"algorithm": "resize", "params": {"width": -1}}]}, "/steps/0/params/width"),
        ({"preset": "web", "output": {"format": "png"}}, ""),
        ({"steps": [{"algorithm": "watermark", "params": {"mark": {"text": "é" * 500}}}] * 20}, "/steps"),
    ],
)
def test_wrong_steps_of_a_url_are_refused_where_they_stand(
    pixmill: Served, file_id: object, wrong: dict[str, object], pointer: str
) -> None:
    refused = pixmill.http.post(f"{TASKS}/render-urls", json={"file_id": file_id, **wrong})

    assert refused.status_code == 422, refused.text
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


def test_urls_of_missing_files_and_presets_are_refused(pixmill: Served, file_id: object) -> None:
    missing = pixmill.http.post(f"{TASKS}/render-urls", json={"file_id": 987_654_321})
    unknown = pixmill.http.post(f"{TASKS}/render-urls", json={"file_id": file_id, "preset": "no-such"})

    assert_problem(missing, 404, "987654321")
    assert_problem(unknown, 404, "no-such")


@pytest.mark.both_stacks
def test_the_file_of_another_owner_does_not_exist(pixmill: Served, stack: Stack, file_id: object) -> None:
    key = new_key(pixmill, f"owner-{time.time_ns()}", "writer")
    sha256 = pixmill.http.get(f"{FILES}/{file_id}").json()["sha256"]

    with httpx2.Client(
        base_url=stack.url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=60, verify=CERTIFICATES
    ) as other:
        responses = [
            other.get(f"{TASKS}/thumbnails/{file_id}/128"),
            other.get(f"{TASKS}/thumbnails/sha256/{sha256}/128"),
            other.get(f"{TASKS}/metadata/{file_id}"),
            other.get(f"{TASKS}/metadata/sha256/{sha256}"),
            other.post(f"{TASKS}/preview", json={"file_id": file_id, "steps": []}),
            other.post(f"{TASKS}/render-urls", json={"file_id": file_id}),
            other.delete(f"{TASKS}/renders/{file_id}"),
        ]

    assert [response.status_code for response in responses] == [404] * 7


def test_an_owner_sees_its_own_files(pixmill: Served, stack: Stack) -> None:
    key = new_key(pixmill, f"owner-{time.time_ns()}", "reader")
    writer = new_key(pixmill, "owner-of-thumbnails", "writer")
    headers = {"Authorization": f"Bearer {writer}"}
    file = pixmill.http.post(f"{FILES}/", files={"file": ("a.png", photo(50, 40))}, headers=headers).json()

    own = pixmill.http.get(f"{TASKS}/thumbnails/{file['id']}/128", headers=headers)
    of_another = pixmill.http.get(f"{TASKS}/thumbnails/{file['id']}/128", headers={"Authorization": f"Bearer {key}"})

    assert own.status_code == 200, own.text
    assert of_another.status_code == 404

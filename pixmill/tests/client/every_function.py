"""A program that uses every public function of the client, for type checkers.

`make lint` checks it with mypy --strict, and `pyright` in strict mode reports no errors. It is never run: each function
needs other data on the server, and has tests of its own with such data.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

from pixmill.params import Output, Resize, Source, Watermark
from pixmill.steps import Pipeline

from pixmill import (
    Algorithm,
    AsyncPixmill,
    AsyncRun,
    Batch,
    Deletion,
    File,
    FileFilter,
    Forgotten,
    ImageSigner,
    ImageUrls,
    Index,
    Key,
    Link,
    Metadata,
    NotFoundError,
    Owner,
    Pixmill,
    Preset,
    ProblemError,
    Progress,
    Readiness,
    Rendition,
    Reply,
    Retries,
    Run,
    RunFailedError,
    Session,
    Stats,
    Task,
    TaskFilter,
    TaskStats,
    WebhookEvent,
    verify_webhook,
)


def show(progress: Progress) -> None:
    """Print the progress of an upload or download."""
    print(progress.name, progress.done, progress.total)


def use_files(px: Pixmill, photo: Path) -> None:
    """Call each function for files once; its result has the right type."""
    file: File = px.files.upload(
        photo, comment="a photo", folder="holiday", expires=timedelta(days=7), on_progress=show
    )
    named: File = px.files.upload(b"bytes", name="note.txt", idempotency_key="note-1")
    for end in px.files.upload_many([photo], root=photo.parent, skip_existing=True):
        failed: Exception | None = end.error
        print(end.source, end.file.id if end.file is not None else failed)
    same: File | None = px.files.find_same(photo, folder="holiday")
    known: Sequence[File] = px.files.with_digests([file.sha256])
    index: Index = px.files.index(FileFilter(q="holiday", media_type="image/*"))
    for change in px.files.events([file.id]):
        print(change.file_id, change.change, change.event_id)
        break
    again: File = px.files.get(file.id)
    for listed in px.files.list(FileFilter(created_after=datetime.now(UTC) - timedelta(days=1), sort="-size")):
        print(listed.path, listed.size, listed.created_at)
    for page in px.files.pages(size=100):
        print(len(page))
    existing: Sequence[File] = px.files.existing([file.id, named.id])
    renamed: File = px.files.update(file.id, name="rocket", comment="", folder="")
    copied: File = px.files.copy(file.id, name="copy", folder="copies", expires=timedelta(hours=1))
    link: Link = px.files.link(file.id, expires=timedelta(hours=2), note="for you")
    path: Path = px.files.download(file, "rocket.jpg", overwrite=True, on_progress=show)
    px.files.download_to(file, BytesIO())
    content: bytes = px.files.read(file)
    archive: Path = px.files.zip([file.id, copied.id], "files.zip", overwrite=True, on_progress=show)
    filtered: Path = px.files.zip(FileFilter(folder="copies", batch_id=file.batch_id), "copies.zip")
    deletion: Deletion = px.files.delete(copied.id)
    matching: Deletion = px.files.delete_matching(FileFilter(folder="copies"))
    for trashed in px.files.trash():
        print(trashed.restore_until)
    restored: Sequence[int] = px.files.restore(copied.id)
    removed: int = px.files.empty_trash(copied.id)
    print(same, known, index.total, again.filename, existing, renamed, link.url, path, content, archive, filtered)
    print(deletion.restore_until, matching.ids, restored, removed)


def use_runs(px: Pixmill, file: File) -> None:
    """Call each function for runs and tasks once."""
    steps: Pipeline = Resize(width=800) | Watermark(text="© me")
    run: Run = px.run([file, 12], steps, output=Output(format="webp"), priority=5, expires=timedelta(days=1))
    by_name: Run = px.run([file], "resize", params={"width": 320}, cache=False, idempotency_key="small-1")
    by_preset: Run = px.run([file], preset="web", callback_url="https://example.org/hook")
    resumed: Run = px.resume(run.task_ids)
    tasks: Sequence[Task] = run.tasks()
    batch: Batch = run.progress()
    for event in run.events():
        print(event.task_id, event.status, event.reason)
    ended: Sequence[Task] = run.ended(timeout=60)
    results: Sequence[File] = run.results(ended)
    waited: Sequence[File] = by_name.wait()
    saved: Sequence[Path] = by_name.save("out", name="{name}-{id}{extension}", timeout=60, overwrite=True)
    cancelled: Sequence[Task] = by_preset.cancel()
    restarted: Sequence[Task] = by_preset.restart_failed()
    forgotten: Sequence[int] = by_preset.forget()
    print(resumed.batch_id, tasks, batch.counts, results, waited, saved, cancelled, restarted, forgotten)

    task: Task = px.tasks.get(run.task_ids[0])
    for found in px.tasks.list(
        status=["error", "cancelled"], algorithm="resize", source_id=file.id, cause="1-0", sort="-id"
    ):
        print(found.reason, found.algorithm, found.params)
    px.tasks.cancel(task.id)
    px.tasks.restart(task.id)
    all_failed: Sequence[int] = px.tasks.restart_all("error", algorithm="resize")
    wanted = TaskFilter(batch_id=run.batch_id)
    matched: Sequence[int] = px.tasks.cancel_matching(wanted)
    matched_again: Sequence[int] = px.tasks.restart_matching(wanted)
    matched_last: Sequence[int] = px.tasks.forget_matching(wanted)
    many: Sequence[int] = px.tasks.cancel_many([task.id])
    many_again: Sequence[int] = px.tasks.restart_many([task.id])
    many_last: Sequence[int] = px.tasks.forget_many([task.id])
    px.tasks.delete(task.id)
    print(all_failed, matched, matched_again, matched_last, many, many_again, many_last)

    for other in px.batches.list(sort="id"):
        print(other.seconds_left, [(cause.reason, cause.tasks) for cause in other.errors])
    px.batches.get(batch.id)
    for end_of_batch in px.batches.events(batch.id, "0-0"):
        print(end_of_batch.batch_id, end_of_batch.status, end_of_batch.event_id)
        break
    same_run: Run = px.batches.run(batch.id)
    ids: Sequence[int] = [*px.batches.cancel(batch.id), *px.batches.restart(batch.id)]
    forgetting: Forgotten = px.batches.forget(batch.id)
    print(same_run.task_ids, ids, forgetting.left)


def use_server(px: Pixmill, file: File) -> None:
    """Call each other function for the server once."""
    steps = Resize(width=800) | Watermark(text="© me")
    preset: Preset = px.presets.save("web", steps, output=Output(format="webp"), source=Source(dpi=300))
    presets: Sequence[Preset] = px.presets.list()
    px.presets.delete(preset.name)
    shared: Link = px.links.create([file], expires=timedelta(days=30), note="The launch", password="secret")
    for valid in px.links.list():
        print(valid.id, valid.has_password, valid.expires_at)
    px.links.update(shared.id, note="The landing")
    px.links.revoke(shared.id)
    rendition = Rendition(steps=steps, widths=[320, 640], formats=["avif", "webp"], expires=timedelta(days=1))
    shown: ImageUrls = px.images.urls(file, rendition)
    thumbnail: bytes = px.images.thumbnail(file, 512)
    preview: bytes = px.images.preview(file, steps, output=Output(format="webp"), max_side=800)
    px.images.forget(file)
    print(shown.url, shown.srcset, [(source.type, source.srcset) for source in shown.sources], thumbnail, preview)
    key: Key = px.keys.create("shop", role="writer", note="web shop", expires=timedelta(days=90))
    keys: Sequence[Key] = px.keys.list()
    rotated: Key = px.keys.rotate(key.id, overlap=timedelta(hours=1))
    px.keys.revoke(rotated.id)
    owners: Sequence[Owner] = px.owners.list()
    limited: Owner = px.owners.limit("shop", {"bytes": 10**9})
    print(presets, key.secret, keys, owners, limited)

    for happened in px.events():
        print(happened.task_id, happened.status)
        break
    algorithms: Sequence[Algorithm] = px.algorithms()
    metadata: Metadata = px.metadata(file, ["info", "colors"])
    stats: Stats = px.stats()
    of_tasks: TaskStats = px.tasks.stats()
    readiness: Mapping[str, Readiness] = px.readiness()
    session: Session = px.session()
    secret: str = px.webhook_secret()
    for entry in px.audit(owner="shop", since=datetime.now(UTC) - timedelta(days=1)):
        print(entry.id)
    reply: Reply = px.request("GET", "/api/file-server/", query=[("limit", "1")], headers={"Accept-Language": "ru"})
    print([algorithm.name for algorithm in algorithms], metadata.unavailable, stats.files.bytes, of_tasks.tasks)
    print([service.status for service in readiness.values()], session.scopes, secret, reply.json())


async def use_files_async(px: AsyncPixmill, photo: Path) -> None:
    """Call each function for files once; its result has the right type."""
    file: File = await px.files.upload(
        photo, comment="a photo", folder="holiday", expires=timedelta(days=7), on_progress=show
    )
    named: File = await px.files.upload(b"bytes", name="note.txt", idempotency_key="note-1")
    async for end in px.files.upload_many([photo], root=photo.parent, skip_existing=True):
        failed: Exception | None = end.error
        print(end.source, end.file.id if end.file is not None else failed)
    same: File | None = await px.files.find_same(photo, folder="holiday")
    known: Sequence[File] = await px.files.with_digests([file.sha256])
    index: Index = await px.files.index(FileFilter(q="holiday", media_type="image/*"))
    async for change in px.files.events([file.id]):
        print(change.file_id, change.change, change.event_id)
        break
    again: File = await px.files.get(file.id)
    async for listed in px.files.list(FileFilter(created_after=datetime.now(UTC) - timedelta(days=1), sort="-size")):
        print(listed.path, listed.size, listed.created_at)
    async for page in px.files.pages(size=100):
        print(len(page))
    existing: Sequence[File] = await px.files.existing([file.id, named.id])
    renamed: File = await px.files.update(file.id, name="rocket", comment="", folder="")
    copied: File = await px.files.copy(file.id, name="copy", folder="copies", expires=timedelta(hours=1))
    link: Link = await px.files.link(file.id, expires=timedelta(hours=2), note="for you")
    path: Path = await px.files.download(file, "rocket.jpg", overwrite=True, on_progress=show)
    await px.files.download_to(file, BytesIO())
    content: bytes = await px.files.read(file)
    archive: Path = await px.files.zip([file.id, copied.id], "files.zip", overwrite=True, on_progress=show)
    filtered: Path = await px.files.zip(FileFilter(folder="copies", batch_id=file.batch_id), "copies.zip")
    deletion: Deletion = await px.files.delete(copied.id)
    matching: Deletion = await px.files.delete_matching(FileFilter(folder="copies"))
    async for trashed in px.files.trash():
        print(trashed.restore_until)
    restored: Sequence[int] = await px.files.restore(copied.id)
    removed: int = await px.files.empty_trash(copied.id)
    print(same, known, index.total, again.filename, existing, renamed, link.url, path, content, archive, filtered)
    print(deletion.restore_until, matching.ids, restored, removed)


async def use_runs_async(px: AsyncPixmill, file: File) -> None:
    """Call each function for runs and tasks once."""
    steps: Pipeline = Resize(width=800) | Watermark(text="© me")
    run: AsyncRun = await px.run([file, 12], steps, output=Output(format="webp"), priority=5, expires=timedelta(days=1))
    by_name: AsyncRun = await px.run([file], "resize", params={"width": 320}, cache=False, idempotency_key="small-1")
    by_preset: AsyncRun = await px.run([file], preset="web", callback_url="https://example.org/hook")
    resumed: AsyncRun = px.resume(run.task_ids)
    tasks: Sequence[Task] = await run.tasks()
    batch: Batch = await run.progress()
    async for event in run.events():
        print(event.task_id, event.status, event.reason)
    ended: Sequence[Task] = await run.ended(timeout=60)
    results: Sequence[File] = await run.results(ended)
    waited: Sequence[File] = await by_name.wait()
    saved: Sequence[Path] = await by_name.save("out", name="{name}-{id}{extension}", timeout=60, overwrite=True)
    cancelled: Sequence[Task] = await by_preset.cancel()
    restarted: Sequence[Task] = await by_preset.restart_failed()
    forgotten: Sequence[int] = await by_preset.forget()
    print(resumed.batch_id, tasks, batch.counts, results, waited, saved, cancelled, restarted, forgotten)

    task: Task = await px.tasks.get(run.task_ids[0])
    async for found in px.tasks.list(
        status=["error", "cancelled"], algorithm="resize", source_id=file.id, cause="1-0", sort="-id"
    ):
        print(found.reason, found.algorithm, found.params)
    await px.tasks.cancel(task.id)
    await px.tasks.restart(task.id)
    all_failed: Sequence[int] = await px.tasks.restart_all("error", algorithm="resize")
    wanted = TaskFilter(batch_id=run.batch_id)
    matched: Sequence[int] = await px.tasks.cancel_matching(wanted)
    matched_again: Sequence[int] = await px.tasks.restart_matching(wanted)
    matched_last: Sequence[int] = await px.tasks.forget_matching(wanted)
    many: Sequence[int] = await px.tasks.cancel_many([task.id])
    many_again: Sequence[int] = await px.tasks.restart_many([task.id])
    many_last: Sequence[int] = await px.tasks.forget_many([task.id])
    await px.tasks.delete(task.id)
    print(all_failed, matched, matched_again, matched_last, many, many_again, many_last)

    async for other in px.batches.list(sort="id"):
        print(other.seconds_left, [(cause.reason, cause.tasks) for cause in other.errors])
    await px.batches.get(batch.id)
    async for end_of_batch in px.batches.events(batch.id, "0-0"):
        print(end_of_batch.batch_id, end_of_batch.status, end_of_batch.event_id)
        break
    same_run: AsyncRun = await px.batches.run(batch.id)
    ids: Sequence[int] = [*await px.batches.cancel(batch.id), *await px.batches.restart(batch.id)]
    forgetting: Forgotten = await px.batches.forget(batch.id)
    print(same_run.task_ids, ids, forgetting.left)


async def use_server_async(px: AsyncPixmill, file: File) -> None:
    """Call each other function for the server once."""
    steps = Resize(width=800) | Watermark(text="© me")
    preset: Preset = await px.presets.save("web", steps, output=Output(format="webp"), source=Source(dpi=300))
    presets: Sequence[Preset] = await px.presets.list()
    await px.presets.delete(preset.name)
    shared: Link = await px.links.create([file], expires=timedelta(days=30), note="The launch", password="secret")
    async for valid in px.links.list():
        print(valid.id, valid.has_password, valid.expires_at)
    await px.links.update(shared.id, note="The landing")
    await px.links.revoke(shared.id)
    rendition = Rendition(steps=steps, widths=[320, 640], formats=["avif", "webp"], expires=timedelta(days=1))
    shown: ImageUrls = await px.images.urls(file, rendition)
    thumbnail: bytes = await px.images.thumbnail(file, 512)
    preview: bytes = await px.images.preview(file, steps, output=Output(format="webp"), max_side=800)
    await px.images.forget(file)
    print(shown.url, shown.srcset, [(source.type, source.srcset) for source in shown.sources], thumbnail, preview)
    key: Key = await px.keys.create("shop", role="writer", note="web shop", expires=timedelta(days=90))
    keys: Sequence[Key] = await px.keys.list()
    rotated: Key = await px.keys.rotate(key.id, overlap=timedelta(hours=1))
    await px.keys.revoke(rotated.id)
    owners: Sequence[Owner] = await px.owners.list()
    limited: Owner = await px.owners.limit("shop", {"bytes": 10**9})
    print(presets, key.secret, keys, owners, limited)

    async for happened in px.events():
        print(happened.task_id, happened.status)
        break
    algorithms: Sequence[Algorithm] = await px.algorithms()
    metadata: Metadata = await px.metadata(file, ["info", "colors"])
    stats: Stats = await px.stats()
    of_tasks: TaskStats = await px.tasks.stats()
    readiness: Mapping[str, Readiness] = await px.readiness()
    session: Session = await px.session()
    secret: str = await px.webhook_secret()
    async for entry in px.audit(owner="shop", since=datetime.now(UTC) - timedelta(days=1)):
        print(entry.id)
    reply: Reply = await px.request(
        "GET", "/api/file-server/", query=[("limit", "1")], headers={"Accept-Language": "ru"}
    )
    print([algorithm.name for algorithm in algorithms], metadata.unavailable, stats.files.bytes, of_tasks.tasks)
    print([service.status for service in readiness.values()], session.scopes, secret, reply.json())


def sign(key: str) -> ImageUrls:
    """Return signed URLs without a request to the server."""
    signer = ImageSigner("https://images.example.com", key, path="/img/", preset_owner="shop")
    return signer.urls("https://example.org/cat.jpg", Rendition(preset="avatar", dprs=[1, 2], width=64))


def receive(headers: Mapping[str, str], body: bytes) -> WebhookEvent:
    """Return the event of a webhook."""
    return verify_webhook(headers, body, "whsec_c2VjcmV0", tolerance_seconds=60)


def main(photo: Path) -> None:
    """Use both clients; catch all exceptions by name."""
    try:
        with Pixmill("http://127.0.0.1:8080", key="pxm_…", retries=Retries(attempts=3), language="ru") as px:
            use_files(px, photo)
            file = px.files.get(1)
            use_runs(px, file)
            use_server(px, file)
    except NotFoundError as error:
        print(error.detail, error.context)
    except RunFailedError as error:
        print([task.reason for task in error.failed], error.saved)
    except ProblemError as error:
        print(error.type, error.request_id, error.retry_after, [entry.pointer for entry in error.errors])
    asyncio.run(main_async(photo))


async def main_async(photo: Path) -> None:
    """Use the asynchronous client."""
    async with AsyncPixmill(timeout_seconds=30) as px:
        await use_files_async(px, photo)
        file = await px.files.get(1)
        await use_runs_async(px, file)
        await use_server_async(px, file)

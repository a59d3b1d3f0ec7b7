"""``python -m bench.algorithms``: the time and the peak memory of each algorithm on 12 megapixels, beside a peer.

Both read the same JPEG and write a result, in a process of their own and on one core, in turn; the best of three
counts. The peer is Pillow, or OpenCV where Pillow has no such operation.

Where ours is slower, seen on two cores in November 2026:

- ``equalize``: libvips goes to CIELAB and back in floating point, OpenCV in eight bits.
- ``perspective``: libvips asks an image of floating-point coordinates where each pixel comes from, OpenCV a matrix.
- ``edges``: ours decode colours and make the luma, OpenCV decodes grey; Sobel is reckoned in floating point.
- ``histogram``: ours counts the luma in another pass, and turns a truncated file away.
- ``crop``, ``grayscale``, ``saturation``: within a quarter; libvips checks that the file is whole.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.photographs import photographs
from tests.support.processes import peak_of

WIDTH, HEIGHT = 4000, 3000
ROUNDS = 3

# Algorithm, params, and the peer's operation in this module.
CASES: list[tuple[str, dict[str, object], str]] = [
    ("thumbnail", {"width": 200, "height": 200}, "pillow_thumbnail"),
    ("resize", {"width": 1024}, "pillow_resize"),
    ("resize", {"width": 1024, "height": 1024, "fit": "cover"}, "pillow_fit"),
    ("crop", {"width": 2000, "height": 1500}, "pillow_crop"),
    ("flip", {}, "pillow_flip"),
    ("rotate", {"angle": 90}, "pillow_transpose"),
    ("rotate", {"angle": 10}, "pillow_rotate"),
    ("border", {"width": 20}, "pillow_expand"),
    ("perspective", {"corners": [{"x": 0.1, "y": 0}, {"x": 1, "y": 0.1}, {"x": 0.9, "y": 1}, {"x": 0, "y": 0.9}]},
     "opencv_perspective"),
    ("grayscale", {}, "pillow_grayscale"),
    ("brightness", {"amount": 20}, "pillow_brightness"),
    ("saturation", {"amount": 40}, "pillow_saturation"),
    ("invert", {}, "pillow_invert"),
    ("posterize", {"levels": 8}, "pillow_posterize"),
    ("equalize", {}, "opencv_equalize"),
    ("equalize", {"method": "clahe"}, "opencv_clahe"),
    ("blur", {"radius": 4}, "opencv_blur"),
    ("blur", {"method": "box", "radius": 4}, "pillow_box_blur"),
    ("sharpen", {"radius": 2}, "pillow_sharpen"),
    ("denoise", {"method": "median", "strength": 1}, "pillow_median"),
    ("denoise", {"method": "bilateral"}, "opencv_bilateral"),
    ("pixelate", {"size": 20}, "pillow_pixelate"),
    ("edges", {}, "opencv_sobel"),
    ("edges", {"method": "canny"}, "opencv_canny"),
    ("convolve", {"kernel": [0, -1, 0, -1, 5, -1, 0, -1, 0]}, "pillow_kernel"),
    ("watermark", {"mark": {"text": "Pixmill"}}, "pillow_text"),
    ("convert", {"format": "webp"}, "pillow_webp"),
    ("convert", {"format": "avif"}, "pillow_avif"),
    ("convert", {"format": "png", "effort": 6}, "pillow_png"),
    ("histogram", {}, "pillow_histogram"),
    ("blurhash", {}, "blurhash_python"),
    ("phash", {}, "imagehash_phash"),
    ("blur_faces", {}, "mtcnn_faces"),
]  # fmt: skip


def pixmill(source: Path, result: Path, name: str, params: dict[str, object]) -> Callable[[], object]:
    """What a worker does."""
    from image_processor.services.decoding import Limits
    from image_processor.services.images import process_image
    from image_processor.services.plan import plan_of

    plan = plan_of(name, params)
    return lambda: process_image(source, {}, result, plan, Limits(10**8, 100))


def measured(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the fastest of three runs, and the megabytes that they took beyond what the libraries do."""
    before = peak_of(os.getpid())
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds), (peak_of(os.getpid()) - before) / 1e6


def child(number: int, side: str, source: Path, folder: Path) -> None:
    """One side of one case, in this process."""
    name, params, peer = CASES[number]
    if side == "pixmill":
        run = pixmill(source, folder / "pixmill", name, params)
    else:
        peers = importlib.import_module("bench.peers")
        run = getattr(peers, peer)(source, folder / "peer")
    print(json.dumps(measured(run)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.algorithms", description=__doc__)
    parser.add_argument("only", nargs="*", help="names of algorithms (default: all)")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        number, side, source, folder = chosen.child
        child(int(number), side, Path(source), Path(folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        (source,) = photographs(Path(folder), WIDTH, HEIGHT, count=1)
        for number, (name, params, peer) in enumerate(CASES):
            if chosen.only and name not in chosen.only:
                continue
            ours, theirs = (in_process(number, side, source, Path(folder)) for side in ("pixmill", "peer"))
            print(
                f"{name} {json.dumps(params)}: {ours[0] * 1000:.0f} ms, {ours[1]:.0f} MB; {peer.replace('_', ' ')}: "
                f"{theirs[0] * 1000:.0f} ms, {theirs[1]:.0f} MB; ratio {theirs[0] / ours[0]:.2f}",
                flush=True,
            )


def in_process(number: int, side: str, source: Path, folder: Path) -> tuple[float, float]:
    """The case in a fresh process on one core."""
    command = [sys.executable, "-m", "bench.algorithms", "--child", str(number), side, str(source), str(folder)]
    one_core = {**os.environ, "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1", "MALLOC_ARENA_MAX": "2"}
    pinned = ["taskset", "--cpu-list", "0", *command]
    run = subprocess.run(pinned, env=one_core, check=True, capture_output=True, text=True)
    seconds, megabytes = json.loads(run.stdout)
    return seconds, megabytes


if __name__ == "__main__":
    main()

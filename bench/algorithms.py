"""``python -m bench.algorithms``: the time and the peak memory of each algorithm on 12 megapixels, beside a peer.

``python -m bench.algorithms --ratios``: each at its default parameters (typical ones where it needs some), as a
multiple of a plain resize in the same run; exits with 1 where one takes more than 25 times as long. ``upscale`` and
``animate`` stand beside a plain resize that makes as many pixels, and in the same format: four times those of the
source, and two frames of WebP. Most of their time is that of writing them.

Seen in November 2026 beside other work: multiples of a resize: ``denoise`` 22, ``optimize`` 15, ``noise`` 3. On 24
megapixels, seconds before, and of one core after: ``optimize`` of a JPEG 24, 3; to WebP with an SSIM of 0.99 103, 9;
to the smaller of two formats 22 after; to PNG 32, 23; to a GIF of 9 MB 97, 35. Other slow parameters, of 8 bits,
before: ``non_local_means`` 17, ``median`` of strength 100 5, motion blur of radius 100 5, ``sharpen`` of radius 5.9 7.

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

LIMIT = 25
"""How many times as long as a plain resize an algorithm may take."""
PLAIN: tuple[str, dict[str, object]] = ("resize", {"width": 1024})
# What stands beside an algorithm whose result has more pixels than its source.
AS_LARGE: dict[str, tuple[str, dict[str, object]]] = {
    "upscale": ("resize", {"width": 8000}),
    "animate": ("resize", {"width": 4000, "height": 6000, "output": {"format": "webp"}}),
}
# Instead of an algorithm's first examples, where those are small, and where it wants one of several parameters.
TYPICAL: dict[str, dict[str, object]] = {
    "animate": {"others": [2]},
    "crop": {"width": 2000, "height": 1500},
    "curves": {"all": [{"input": 64, "output": 40}, {"input": 192, "output": 225}]},
    "extend": {"width": 4400, "height": 3400},
    "levels": {"black": 20, "white": 235},
    "montage": {"others": [2, 2, 2]},
    "pad": {"top": 100, "bottom": 100},
    "resize": {"width": 2000},
}
# What is on no photograph of the benchmark: they end before they make a result.
REFUSED = ("crop_faces",)
CUBE = "LUT_3D_SIZE 2\n" + "\n".join(f"{1 - r} {g} {b}" for b in (0, 1) for g in (0, 1) for r in (0, 1))


def pixmill(source: Path, result: Path, name: str, params: dict[str, object]) -> Callable[[], object]:
    """What a worker does."""
    from image_processor.services.codec.decoding import Limits
    from image_processor.services.codec.plan import plan_of
    from image_processor.services.codec.process import process_image

    plan = plan_of(name, params)
    cube = result.with_name("cube")
    cube.write_text(CUBE)
    files = dict.fromkeys(plan.file_ids(), cube if name == "lut" else source)
    return lambda: process_image(source, files, result, plan, Limits(10**8, 100))


def defaults() -> list[tuple[str, dict[str, object]]]:
    """Every algorithm with nothing but what it needs."""
    from image_processor.algorithms.registry import all_algorithms

    needed = []
    for name, one in all_algorithms().items():
        fields = one.params.model_fields.items()
        examples: dict[str, object] = {
            key: field.examples[0] for key, field in fields if field.is_required() and field.examples
        }
        needed.append((name, TYPICAL.get(name, examples)))
    return [case for case in needed if case[0] not in REFUSED]


def ratios(source: Path, folder: Path, only: list[str]) -> int:
    """Print how many times as long as a plain resize each takes, and return how many are above the limit."""
    known: dict[str, float] = {}
    above = 0
    for name, params in defaults():
        if only and name not in only:
            continue
        beside = AS_LARGE.get(name, PLAIN)
        key = json.dumps(beside)
        if key not in known:
            known[key] = in_process(["ours", *map(json.dumps, beside)], source, folder)[0]
        seconds, _ = in_process(["ours", json.dumps(name), json.dumps(params)], source, folder)
        ratio = seconds / known[key]
        above += ratio > LIMIT
        note = " ABOVE THE LIMIT" if ratio > LIMIT else ""
        print(
            f"{name} {json.dumps(params)}: {seconds * 1000:.0f} ms, {ratio:.1f} x {beside[0]} {beside[1]}{note}",
            flush=True,
        )
    return above


def measured(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the fastest of three runs, and the megabytes that they took beyond what the libraries do."""
    before = peak_of(os.getpid())
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds), (peak_of(os.getpid()) - before) / 1e6


def child(side: str, name: str, params: str, source: Path, folder: Path) -> None:
    """One side of one case, in this process."""
    if side == "ours":
        run = pixmill(source, folder / "pixmill", json.loads(name), json.loads(params))
    else:
        peers = importlib.import_module("bench.peers")
        run = getattr(peers, json.loads(name))(source, folder / "peer")
    print(json.dumps(measured(run)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.algorithms", description=__doc__)
    parser.add_argument("only", nargs="*", help="names of algorithms (default: all)")
    parser.add_argument("--ratios", action="store_true", help="multiples of a plain resize, instead of peers")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        side, name, params, source, folder = chosen.child
        child(side, name, params, Path(source), Path(folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        (source,) = photographs(Path(folder), WIDTH, HEIGHT, count=1)
        if chosen.ratios:
            sys.exit(1 if ratios(source, Path(folder), chosen.only) else 0)
        for name, case, peer in CASES:
            if chosen.only and name not in chosen.only:
                continue
            sides = (["ours", json.dumps(name), json.dumps(case)], ["peer", json.dumps(peer), "{}"])
            ours, theirs = (in_process(side, source, Path(folder)) for side in sides)
            print(
                f"{name} {json.dumps(case)}: {ours[0] * 1000:.0f} ms, {ours[1]:.0f} MB; {peer.replace('_', ' ')}: "
                f"{theirs[0] * 1000:.0f} ms, {theirs[1]:.0f} MB; ratio {theirs[0] / ours[0]:.2f}",
                flush=True,
            )


def in_process(side: list[str], source: Path, folder: Path) -> tuple[float, float]:
    """The case in a fresh process on one core."""
    command = [sys.executable, "-m", "bench.algorithms", "--child", *side, str(source), str(folder)]
    one_core = {**os.environ, "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1", "MALLOC_ARENA_MAX": "2"}
    pinned = ["taskset", "--cpu-list", "0", *command]
    run = subprocess.run(pinned, env=one_core, check=True, capture_output=True, text=True)
    seconds, megabytes = json.loads(run.stdout)
    return seconds, megabytes


if __name__ == "__main__":
    main()

"""``python -m bench.algorithms``: time and peak memory of each algorithm on 12 megapixels, compared with a peer.

Both read the same JPEG and write a result, alternating, each in its own process on one core; the fastest of three runs
counts. The peer is Pillow, or OpenCV if Pillow has no such operation.

``python -m bench.algorithms --ratios``: the time of each algorithm at its default parameters (or typical ones) as a
multiple of a plain resize in the same run. Exits with 1 if an algorithm takes more than 25 times as long. ``upscale``
and ``animate`` are compared with a resize that writes as many pixels in the same format (four times the source, and
two frames of WebP), because writing takes most of their time.

Measured in November 2026 on a quiet machine, as multiples of a resize: ``denoise`` 20 to 25, ``lut`` 19 to 23 (30 while
a whole share was mixed with the source too), ``rotate`` 19, ``optimize`` and ``tint`` 14, ``perspective`` and
``progressive_blur`` 12, ``sharpen`` 11.
On 24 megapixels, seconds before the last optimization, and seconds of one core after it: ``optimize`` of a JPEG 24, 3;
to WebP with an SSIM of 0.99 103, 9; to the smaller of two formats 22 after; to PNG 32, 23; to a GIF of 9 MB 97, 35.
Other slow parameters with 8 bits, before: ``non_local_means`` 17, ``median`` of strength 100 5, motion blur of radius
100 5, ``sharpen`` of radius 5.9 7.

Where ours is slower, on two cores in November 2026:

- ``equalize``: libvips converts to CIELAB and back in floating point, OpenCV in eight bits.
- ``perspective``: libvips looks up coordinates in a floating-point image, OpenCV multiplies by a matrix.
- ``edges``: ours decodes colors and computes the luma, OpenCV decodes grayscale; our Sobel uses floating point.
- ``histogram``: ours counts the luma in another pass, and refuses a truncated file.
- ``crop``, ``grayscale``, ``saturation``: within a quarter; libvips checks that the file is complete.
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

# Algorithm, params, and the peer's function in bench.peers.
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
    ("blur_faces", {}, "opencv_faces"),
]  # fmt: skip

LIMIT = 25
"""The maximum time of an algorithm, as a multiple of a plain resize."""
PLAIN: tuple[str, dict[str, object]] = ("resize", {"width": 1024})
# Baseline for algorithms whose results have more pixels than their sources.
BASELINES: dict[str, tuple[str, dict[str, object]]] = {
    "upscale": ("resize", {"width": 8000}),
    "animate": ("resize", {"width": 4000, "height": 6000, "output": {"format": "webp"}}),
}
# Params that replace an algorithm's examples, because these are too small or lack a required choice of params.
TYPICAL: dict[str, dict[str, object]] = {
    "animate": {"others": [2]},
    "channels": {"red": 80},
    "crop": {"width": 2000, "height": 1500},
    "curves": {"all": [{"input": 64, "output": 40}, {"input": 192, "output": 225}]},
    "extend": {"width": 4400, "height": 3400},
    "levels": {"black": 20, "white": 235},
    "montage": {"others": [2, 2, 2]},
    "pad": {"top": 100, "bottom": 100},
    "resize": {"width": 2000},
}
# The benchmark's photographs have no faces, so these algorithms end without a result.
REFUSED = ("crop_faces",)
CUBE = "LUT_3D_SIZE 2\n" + "\n".join(f"{1 - r} {g} {b}" for b in (0, 1) for g in (0, 1) for r in (0, 1))


def pixmill(source: Path, result: Path, name: str, params: dict[str, object]) -> Callable[[], object]:
    """Return a function that runs the algorithm as a worker does."""
    from image_processor.services.codec.decoding import ImageLimits
    from image_processor.services.codec.plan import plan_of
    from image_processor.services.codec.process import process_image

    plan = plan_of(name, params)
    cube = result.with_name("cube")
    cube.write_text(CUBE)
    files = dict.fromkeys(plan.file_ids(), cube if name == "lut" else source)
    return lambda: process_image(source, files, result, plan, ImageLimits(10**8, 100))


def defaults() -> list[tuple[str, dict[str, object]]]:
    """Return every algorithm with only its required params."""
    from image_processor.algorithms.registry import all_algorithms

    needed = []
    for name, algorithm in all_algorithms().items():
        fields = algorithm.params.model_fields.items()
        examples: dict[str, object] = {
            key: field.examples[0] for key, field in fields if field.is_required() and field.examples
        }
        needed.append((name, TYPICAL.get(name, examples)))
    return [case for case in needed if case[0] not in REFUSED]


def ratios(source: Path, folder: Path, only: list[str]) -> int:
    """Print the time of each algorithm as a multiple of a plain resize; return the number of those above the limit."""
    known: dict[str, float] = {}
    above = 0
    for name, params in defaults():
        if only and name not in only:
            continue
        baseline = BASELINES.get(name, PLAIN)
        key = json.dumps(baseline)
        if key not in known:
            known[key] = in_process(["ours", *map(json.dumps, baseline)], source, folder)[0]
        seconds, _ = in_process(["ours", json.dumps(name), json.dumps(params)], source, folder)
        ratio = seconds / known[key]
        above += ratio > LIMIT
        note = " ABOVE THE LIMIT" if ratio > LIMIT else ""
        print(
            f"{name} {json.dumps(params)}: {seconds * 1000:.0f} ms, {ratio:.1f} x {baseline[0]} {baseline[1]}{note}",
            flush=True,
        )
    return above


def measured(run: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of the fastest of three runs, and the megabytes used on top of the libraries' own."""
    before = peak_of(os.getpid())
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds), (peak_of(os.getpid()) - before) / 1e6


def child(side: str, name: str, params: str, source: Path, folder: Path) -> None:
    """Measure one side of a case in this process, and print the result."""
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
    """Measure one side of a case in a new process on one core."""
    command = [sys.executable, "-m", "bench.algorithms", "--child", *side, str(source), str(folder)]
    one_core = {**os.environ, "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1", "MALLOC_ARENA_MAX": "2"}
    pinned = ["taskset", "--cpu-list", "0", *command]
    run = subprocess.run(pinned, env=one_core, check=True, capture_output=True, text=True)
    seconds, megabytes = json.loads(run.stdout)
    return seconds, megabytes


if __name__ == "__main__":
    main()

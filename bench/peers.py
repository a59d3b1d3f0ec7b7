"""The same operations with other libraries: each returns a function that reads a JPEG and writes a result."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import numpy
from image_processor.imaging.output import DEFAULT_QUALITY
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Change = Callable[[Image.Image], Image.Image]
Pixels = numpy.ndarray


class Peer(Protocol):
    """Return a function that runs the operation."""

    def __call__(self, source: Path, result: Path) -> Callable[[], object]: ...


def pillow(change: Change, format: str = "JPEG", **options: int) -> Peer:
    """Return an operation with Pillow, saved as JPEG with our default quality unless ``options`` set another."""
    chosen = options or {"quality": DEFAULT_QUALITY["jpeg"]}

    def prepared(source: Path, result: Path) -> Callable[[], object]:
        return lambda: change(Image.open(source)).save(result, format, **chosen)

    return prepared


def opencv(change: Callable[[Pixels], Pixels], flags: int = cv2.IMREAD_COLOR) -> Peer:
    """Return an operation with OpenCV, saved as JPEG with our default quality."""
    cv2.setNumThreads(1)

    def prepared(source: Path, result: Path) -> Callable[[], object]:
        def run() -> None:
            image = cv2.imread(str(source), flags)
            assert image is not None
            cv2.imwrite(
                str(result.with_suffix(".jpg")), change(image), [cv2.IMWRITE_JPEG_QUALITY, DEFAULT_QUALITY["jpeg"]]
            )

        return run

    return prepared


def analysis(look: Callable[[Image.Image], object]) -> Peer:
    """Return an analysis of an image with Pillow, saved as text."""

    def prepared(source: Path, result: Path) -> Callable[[], object]:
        return lambda: result.write_text(str(look(Image.open(source))))

    return prepared


def _drafted(image: Image.Image, width: int, height: int) -> Image.Image:
    image.draft("RGB", (width, height))
    return image


def _thumbnail(image: Image.Image) -> Image.Image:
    image.thumbnail((200, 200))
    return image


def _pixelate(image: Image.Image) -> Image.Image:
    return image.reduce(20).resize(image.size, Image.Resampling.NEAREST)


def _text(image: Image.Image) -> Image.Image:
    layer = Image.new("RGBA", image.size)
    font = ImageFont.load_default(size=300)
    ImageDraw.Draw(layer).text((2800, 2600), "Pixmill", font=font, fill=(255, 255, 255, 128))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


pillow_thumbnail = pillow(_thumbnail)
pillow_resize = pillow(lambda image: _drafted(image, 1024, 768).resize((1024, 768), Image.Resampling.LANCZOS))
pillow_fit = pillow(lambda image: ImageOps.fit(_drafted(image, 1366, 1024), (1024, 1024), Image.Resampling.LANCZOS))
pillow_crop = pillow(lambda image: image.crop((1000, 750, 3000, 2250)))
pillow_flip = pillow(lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
pillow_transpose = pillow(lambda image: image.transpose(Image.Transpose.ROTATE_270))
pillow_rotate = pillow(lambda image: image.rotate(-10, Image.Resampling.BICUBIC, expand=True, fillcolor="white"))
pillow_expand = pillow(lambda image: ImageOps.expand(image, 20))
pillow_grayscale = pillow(lambda image: image.convert("L"))
pillow_brightness = pillow(lambda image: ImageEnhance.Brightness(image).enhance(1.2))
pillow_saturation = pillow(lambda image: ImageEnhance.Color(image).enhance(1.4))
pillow_invert = pillow(ImageOps.invert)
pillow_posterize = pillow(lambda image: ImageOps.posterize(image, 3))
pillow_box_blur = pillow(lambda image: image.filter(ImageFilter.BoxBlur(4)))
pillow_sharpen = pillow(lambda image: image.filter(ImageFilter.UnsharpMask(2, 100, 0)))
pillow_median = pillow(lambda image: image.filter(ImageFilter.MedianFilter(3)))
pillow_pixelate = pillow(_pixelate)
pillow_kernel = pillow(lambda image: image.filter(ImageFilter.Kernel((3, 3), [0, -1, 0, -1, 5, -1, 0, -1, 0])))
pillow_text = pillow(_text)
pillow_webp = pillow(lambda image: image, format="WEBP", quality=85, method=3)
pillow_avif = pillow(lambda image: image, format="AVIF", quality=65, speed=7, max_threads=1)
pillow_png = pillow(lambda image: image, format="PNG", compress_level=6)
pillow_histogram = analysis(lambda image: (image.histogram(), image.convert("L").histogram()))


def _perspective(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    corners = numpy.array([[0.1, 0], [1, 0.1], [0.9, 1], [0, 0.9]], dtype="float32") * numpy.array(
        [width, height], dtype="float32"
    )
    edges = numpy.array([[0, 0], [width, 0], [width, height], [0, height]], dtype="float32")
    matrix = cv2.getPerspectiveTransform(corners, edges)
    return cv2.warpPerspective(image, matrix, (width, height), flags=cv2.INTER_CUBIC)


def _on_lightness(image: Pixels, change: Callable[[Pixels], Pixels]) -> Pixels:
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
    lab[..., 0] = change(numpy.ascontiguousarray(lab[..., 0]))
    return cv2.cvtColor(lab, cv2.COLOR_LAB2BGR)


def _sobel(gray: Pixels) -> Pixels:
    return cv2.magnitude(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))


opencv_perspective = opencv(_perspective)
opencv_equalize = opencv(lambda image: _on_lightness(image, cv2.equalizeHist))
opencv_clahe = opencv(lambda image: _on_lightness(image, cv2.createCLAHE(3, (62, 46)).apply))
opencv_blur = opencv(lambda image: cv2.GaussianBlur(image, (0, 0), 4))
opencv_bilateral = opencv(lambda image: cv2.bilateralFilter(image, 9, 60, 3))
opencv_sobel = opencv(_sobel, cv2.IMREAD_GRAYSCALE)
opencv_canny = opencv(lambda gray: cv2.Canny(gray, 100, 200, L2gradient=True), cv2.IMREAD_GRAYSCALE)


def blurhash_python(source: Path, result: Path) -> Callable[[], object]:
    """Return the hash from the pure-Python library, for an image of the same size as ours."""
    import blurhash

    def look(image: Image.Image) -> object:
        image.draft("RGB", (64, 64))
        image.thumbnail((64, 64))
        return blurhash.encode(numpy.asarray(image).tolist(), 4, 3)

    return analysis(look)(source, result)


def imagehash_phash(source: Path, result: Path) -> Callable[[], object]:
    """Return the hash from the library imagehash."""
    import imagehash

    return analysis(imagehash.phash)(source, result)


def opencv_faces(source: Path, result: Path) -> Callable[[], object]:
    """Return a run of the same detector at the same sizes, without Pixmill."""
    from image_processor.imaging.faces import SIDES, WEIGHTS

    detector = cv2.FaceDetectorYN.create(str(WEIGHTS), "", (320, 320))

    def change(image: Image.Image) -> Image.Image:
        for side in SIDES:
            small = image.copy()
            small.thumbnail((side, side))
            detector.setInputSize(small.size)
            detector.detect(numpy.ascontiguousarray(numpy.asarray(small)[:, :, ::-1]))
        return image

    return pillow(change)(source, result)

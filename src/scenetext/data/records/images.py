"""Image files to arrays and back, with every fault of a file turned into an ImageError.

EXIF rotation is never applied: annotations of public datasets are on the stored pixels (MMOCR, data preparation
guide). Who needs the upright image turns the stored one (`orientation.py`).

No image of more pixels than `pixel_limit` is decoded, whichever decoder would do it, nor accepted by its header.
"""

from __future__ import annotations

import errno
import os
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from scenetext.data.records.orientation import ORIENTATIONS, UPRIGHT
from scenetext.errors import ConfigError, ImageError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
)
"""Of files that are images, lower-case."""
FOREIGN_SUFFIXES = frozenset({".heic", ".heif", ".avif", ".jxl", ".dng", ".cr2", ".nef", ".arw", ".psd", ".svg"})
"""Of images in formats that are not read; they are named, so that their user converts them."""
_JPEG_START = b"\xff\xd8"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GIF_START = b"GIF8"
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
"""A marker that ends entropy-coded data: not a stuffed zero, not a restart mark (ITU T.81, B.1.1)."""
_JPEG_END = 0xD9
_JPEG_BARE_MARKERS = frozenset({0x01, 0xD8})
"""Markers without a length after them."""
_JPEG_QUALITY = 95
_JPEG_SUFFIXES = frozenset({".jpg", ".jpeg"})
_RGB_FLAG: int | None = getattr(cv2, "IMREAD_COLOR_RGB", None)
"""Decodes to RGB without a pass over the pixels of its own; from OpenCV 4.11 on."""
_DECODE_FLAGS = (cv2.IMREAD_COLOR if _RGB_FLAG is None else _RGB_FLAG) | cv2.IMREAD_IGNORE_ORIENTATION


LIMIT_VARIABLE = "SCENETEXT_PIXEL_LIMIT"
_DEFAULT_LIMIT = 178_956_970
"""Twice Pillow's MAX_IMAGE_PIXELS, above which it refuses an image."""
_LARGEST_LIMIT = 1 << 30
"""OpenCV's own, which is fixed when it is loaded."""
_HEIC = "a HEIC image, which is not read whatever its suffix says; convert it to JPEG"
_SIGNATURE = 12
"""Bytes at the start of a file that say what it is."""
_ORIENTATION_TAG = 0x0112
_TIFF = "TIFF"


@cache
def pixel_limit() -> int:
    """Most pixels of an image, for all decoders: Pillow's 178,956,970 unless `SCENETEXT_PIXEL_LIMIT` is another number.

    Raises:
        ConfigError: the variable is no number of pixels that OpenCV could decode.
    """
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    setting = os.environ.get(LIMIT_VARIABLE)
    if setting is None:
        return _DEFAULT_LIMIT
    limit = int(setting) if setting.isascii() and setting.isdigit() else 0
    if not 0 < limit <= _LARGEST_LIMIT:
        raise ConfigError(f"{LIMIT_VARIABLE}={setting!r}: expected a number of pixels from 1 to {_LARGEST_LIMIT}")
    Image.MAX_IMAGE_PIXELS = None  # this limit is asked for, above Pillow's own or below it
    return limit


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the header of an image file says.

    Attributes:
        size: (height, width) in stored pixels.
        orientation: of EXIF, 1 to 8: how a viewer turns the stored pixels (`orientation.py`).
    """

    size: tuple[int, int]
    orientation: int = UPRIGHT


def read_image(path: Path, keep_alpha: bool = False) -> np.ndarray:
    """Decodes an image file: see `decode_image`.

    Raises:
        ImageError: the file is missing, or holds no whole image.
        OSError: this process may open no more files, which is no fault of the image.
    """
    return decode_image(_content(path), path, keep_alpha)


def read_with_orientation(path: Path) -> tuple[np.ndarray, int]:
    """The stored pixels of an image file as `read_image` gives them, and its EXIF orientation (`orientation.py`).

    Raises:
        ImageError: as `read_image`.
    """
    data = _content(path)
    image = decode_image(data, path)
    try:
        return image, header_of_content(data, path).orientation
    except ImageError:  # a format that has no EXIF, which OpenCV alone knows
        return image, UPRIGHT


def decode_image(data: bytes, path: Path, keep_alpha: bool = False) -> np.ndarray:
    """The content of an image file as pixels.

    Grey images become RGB, alpha is dropped, 16 bits become 8 (the high byte); of an animation the first frame
    counts.

    Args:
        path: where the content comes from, for error messages.
        keep_alpha: of an image of 8 bits, as a fourth channel where there is one.

    Returns:
        (H, W, 3) uint8, RGB; or (H, W, 4), with alpha.

    Raises:
        ImageError: the content is empty, not an image, too large (`pixel_limit`) or cut off. Decoders fill the missing
            part of a cut-off JPEG with grey without an error, so the end mark is looked for (JPEG, PNG); a complete
            file with bytes after its end is fine.
    """
    if not data:
        raise ImageError("image file is empty", path)
    if _is_truncated(data):
        raise ImageError(f"image is truncated: its {len(data)} bytes stop before the end mark", path)
    _check_pixels(_quick_size(data), path)
    image = _decode_with_alpha(data) if keep_alpha else None
    if image is None:
        image = _decode(data)
    if image is None:
        reason = _HEIC if _is_heic(data) else "damaged, or of an unknown format"
        raise ImageError(f"is not an image that can be decoded ({reason})", path)
    return image


def image_header(path: Path) -> ImageHeader:
    """Size and orientation, from the file's header alone; a truncated image may pass.

    Raises:
        ImageError: the file is missing, empty, not an image or too large (`pixel_limit`).
    """
    return _header(path, path)


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) in stored pixels: see `image_header`."""
    return image_header(path).size


def size_of_content(data: bytes, path: Path) -> tuple[int, int]:
    """As `image_size`, of the content of an image file that comes from `path`."""
    return header_of_content(data, path).size


def header_of_content(data: bytes, path: Path) -> ImageHeader:
    """As `image_header`, of the content of an image file that comes from `path`."""
    return _header(BytesIO(data), path)


def write_image(path: Path, image: np.ndarray, quality: int = _JPEG_QUALITY) -> None:
    """Writes an image in the format of the file name's suffix; missing folders are made.

    Args:
        path: .jpg or .png, or another suffix that OpenCV knows.
        image: (H, W, 3) uint8, RGB; or (H, W, 4), with alpha, in a format that has it.
        quality: JPEG quality from 1 to 100; no other format looks at it.

    Raises:
        ImageError: the array is not an image, or the suffix is unknown.
    """
    data = encode_image(image, path, quality)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def encode_image(image: np.ndarray, path: Path, quality: int = _JPEG_QUALITY) -> bytes:
    """The content of the file that `write_image` would write to `path`.

    Raises:
        ImageError: as `write_image`.
    """
    suffix = path.suffix.lower()
    channels = (3,) if suffix in _JPEG_SUFFIXES else (3, 4)
    if image.ndim != 3 or image.shape[2] not in channels or image.dtype != np.uint8 or not image.size:
        raise ImageError(f"cannot write {image.dtype} of shape {image.shape}, expected uint8 (height, width, 3)", path)
    try:
        options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix in _JPEG_SUFFIXES else []
        order = cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        done, data = cv2.imencode(suffix, cv2.cvtColor(image, order), options)
    except cv2.error:
        done = False
    if not done:
        raise ImageError(f"cannot write images with the suffix {path.suffix!r}; use .jpg or .png", path)
    return data.tobytes()


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Within, OpenCV uses the calling thread alone; its idle threads would busy-wait."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        raise ImageError(f"image cannot be read ({error.strerror})", path) from None
    except ValueError:  # half of a character, or a zero byte
        raise ImageError("image cannot be read (no file can have this name)", path) from None


def _header(source: Path | BytesIO, path: Path) -> ImageHeader:
    pixel_limit()  # which Pillow is to use as well
    try:
        with Image.open(source) as image:
            width, height = image.size
            orientation = _orientation(image)
    except Image.DecompressionBombError:
        raise ImageError(_too_large("more than the limit of"), path) from None
    except (OSError, SyntaxError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or _unknown_format(source)
        raise ImageError(f"image size cannot be read ({reason})", path) from None
    _check_pixels((height, width), path)
    return ImageHeader((height, width), orientation)


def _unknown_format(source: Path | BytesIO) -> str:
    """Why a file that is there has no header that Pillow knows."""
    if isinstance(source, BytesIO):
        start = source.getvalue()
    else:
        try:
            with source.open("rb") as file:
                start = file.read(_SIGNATURE)
        except (OSError, ValueError):  # ValueError: a name that no file can have
            start = b""
    return _HEIC if _is_heic(start) else "not an image header"


def _is_heic(data: bytes) -> bool:
    """Whether this is a container of ISO/IEC 23008-12 by its brand, as photographs of telephones are."""
    return data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc", b"heim", b"heis")


def _orientation(image: Image.Image) -> int:
    """Of a TIFF none: its decoders apply it. Damaged or unknown values are ignored, as viewers do."""
    if "exif" not in image.info or image.format == _TIFF:
        return UPRIGHT
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, UPRIGHT)
    except (OSError, SyntaxError, ValueError, KeyError, struct.error):
        return UPRIGHT
    return int(orientation) if orientation in ORIENTATIONS else UPRIGHT


def _check_pixels(size: tuple[int, int] | None, path: Path) -> None:
    if size is not None and size[0] * size[1] > pixel_limit():
        raise ImageError(_too_large(f"{size[1]} x {size[0]} pixels (width x height), more than the limit of"), path)


def _too_large(what: str) -> str:
    return f"image has {what} {pixel_limit()} pixels; the variable {LIMIT_VARIABLE} sets another limit"


def _quick_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) in the header of an image file's content, if it is one; a few microseconds for JPEG and PNG."""
    if data.startswith(_PNG_SIGNATURE):
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    if data.startswith(_JPEG_START):
        return _jpeg_size(data)
    pixel_limit()  # which Pillow is to use as well
    try:
        with Image.open(BytesIO(data)) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError):
        return None
    except Image.DecompressionBombError:
        return _LARGEST_LIMIT, _LARGEST_LIMIT


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """From the frame header (ITU T.81, B.2.2): SOF0 to SOF15 without DHT, JPG and DAC, which share the numbers."""
    for code, position in _jpeg_segments(data):
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            height, width = data[position + 3 : position + 5], data[position + 5 : position + 7]
            return int.from_bytes(height, "big"), int.from_bytes(width, "big")
    return None


def _decode(data: bytes) -> np.ndarray | None:
    """(H, W, 3) uint8 RGB, or None."""
    if data.startswith(_GIF_START):  # which only the newest OpenCV reads
        return _decode_gif(data)
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), _DECODE_FLAGS)
    except cv2.error:
        return None
    if image is None or _RGB_FLAG is not None:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def _decode_with_alpha(data: bytes) -> np.ndarray | None:
    """(H, W, 4) uint8 RGBA; None where there is no alpha, or more than 8 bits."""
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if image is None or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 4:
        return None
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA, dst=image)


def _decode_gif(data: bytes) -> np.ndarray | None:
    try:
        with Image.open(BytesIO(data)) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return None


def _is_truncated(data: bytes) -> bool:
    if data.startswith(_JPEG_START):
        return not _has_jpeg_end(data)
    if data.startswith(_PNG_SIGNATURE):
        return not _has_png_end(data)
    return False


def _has_jpeg_end(data: bytes) -> bool:
    """Whether the end-of-image mark of the image itself is there; marks inside segments (thumbnails) do not count."""
    return any(code == _JPEG_END for code, _ in _jpeg_segments(data))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Code of every marker, and where what follows it starts."""
    position = len(_JPEG_START)
    while (marker := _JPEG_MARKER.search(data, position)) is not None:
        code, position = marker[1][0], marker.end()
        yield code, position
        if code not in _JPEG_BARE_MARKERS and code != _JPEG_END:
            # A segment's length counts itself. After a scan's header its data follow; the search runs over them.
            position += int.from_bytes(data[position : position + 2], "big")


def _has_png_end(data: bytes) -> bool:
    """Whether the chunks lead, unbroken, to the IEND chunk (PNG specification, 5.3)."""
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(data):
        length, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        position += 12 + length
        if kind == b"IEND":
            return position <= len(data)
    return False

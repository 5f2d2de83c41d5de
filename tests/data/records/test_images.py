"""Image files: what must decode, and what must be refused although a decoder would take it."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from checkout import real_data_folder
from scenetext.data.records.images import LIMIT_VARIABLE, image_size, pixel_limit, read_image, write_image
from scenetext.errors import ConfigError, ImageError


def picture(height: int = 60, width: int = 80) -> np.ndarray:
    """A smooth picture with three different channels, which JPEG keeps nearly as it is."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return np.stack([x * 255 / width, y * 255 / height, 255 - x * 200 / width], axis=-1).astype(np.uint8)


def encoded(kind: str, image: np.ndarray | None = None, mode: str | None = None, **options: object) -> bytes:
    """A file's content; with a mode of Pillow's, of the image in that mode."""
    stream = BytesIO()
    Image.fromarray(picture() if image is None else image).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


PALETTE = Image.fromarray(picture()).quantize(32)


def with_palette(kind: str, **options: object) -> bytes:
    stream = BytesIO()
    PALETTE.save(stream, kind, **options)
    return stream.getvalue()


GREY = np.repeat(picture()[..., :1], 3, axis=2)
SIXTEEN_BITS = picture()[..., ::-1].astype(np.uint16) * 257
BLACK_AND_WHITE = np.where(GREY > 127, 255, 0).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".PNG"])
def test_round_trip_is_exact_without_loss(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / "new" / f"a{suffix}", picture())
    np.testing.assert_array_equal(read_image(tmp_path / "new" / f"a{suffix}"), picture())


def test_jpeg_keeps_the_order_of_channels_and_its_quality(tmp_path: Path) -> None:
    write_image(tmp_path / "fine.jpg", picture())
    write_image(tmp_path / "coarse.jpg", picture(), quality=5)
    assert np.abs(read_image(tmp_path / "fine.jpg").astype(int) - picture()).mean() < 3
    assert (tmp_path / "coarse.jpg").stat().st_size < (tmp_path / "fine.jpg").stat().st_size


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (encoded("PNG", picture()[..., 0]), GREY),
        (encoded("JPEG", picture()[..., 0], quality=100), GREY),
        (encoded("PNG", np.dstack([picture()[..., 0]] * 2), mode="LA"), GREY),
        (encoded("PNG", np.dstack([picture(), picture()[..., 0]])), picture()),
        (encoded("WEBP", np.dstack([picture(), picture()[..., 0]]), lossless=True, exact=True), picture()),
        (encoded("PNG", picture()[..., 0].astype(np.uint16) * 257), GREY),
        (cv2.imencode(".png", SIXTEEN_BITS)[1].tobytes(), picture()),
        (cv2.imencode(".tiff", SIXTEEN_BITS)[1].tobytes(), picture()),
        (encoded("PNG", BLACK_AND_WHITE, mode="1"), BLACK_AND_WHITE),
        (encoded("TIFF", mode="CMYK"), picture()),
        (with_palette("PNG"), np.array(PALETTE.convert("RGB"))),
        (with_palette("PNG", transparency=3), np.array(PALETTE.convert("RGB"))),
        (with_palette("BMP"), np.array(PALETTE.convert("RGB"))),
        (with_palette("GIF"), np.array(PALETTE.convert("RGB"))),
        (encoded("GIF", picture()[..., 0]), GREY),
        (encoded("WEBP", lossless=True), picture()),
        (encoded("TIFF"), picture()),
    ],
    ids=[
        *("grey png", "grey jpeg", "grey with alpha", "alpha png", "alpha webp"),
        *("16 bits grey", "16 bits colour", "16 bits tiff", "1 bit", "cmyk tiff"),
        *("palette png", "palette with transparency", "palette bmp", "palette gif", "gif", "webp", "tiff"),
    ],
)
def test_every_kind_becomes_rgb_bytes(tmp_path: Path, content: bytes, expected: np.ndarray) -> None:
    (tmp_path / "a").write_bytes(content)
    image = read_image(tmp_path / "a")
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image, expected, atol=1)
    assert image_size(tmp_path / "a") == (60, 80)


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    """Photoshop and Pillow write the four inks inverted; the error is that of JPEG."""
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG", mode="CMYK", quality=95))
    image = read_image(tmp_path / "a.jpg")
    assert image_size(tmp_path / "a.jpg") == (60, 80)
    assert np.abs(image.astype(int) - picture()).mean() < 2


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_rotation_is_not_applied(tmp_path: Path, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain, turned = (tmp_path / name for name in ("plain", "turned"))
    plain.write_bytes(encoded(kind))
    turned.write_bytes(encoded(kind, exif=exif))
    assert Image.open(turned).getexif()[0x0112] == orientation
    np.testing.assert_array_equal(read_image(turned), read_image(plain))
    assert image_size(turned) == (60, 80)


NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def with_thumbnail() -> bytes:
    """A JPEG whose first segment holds a whole JPEG, end mark included."""
    thumbnail = b"Exif\0\0" + encoded("JPEG", picture(8, 8))
    plain = encoded("JPEG", NOISE)
    return plain[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + plain[2:]


WHOLE_FILES = {
    "jpeg": encoded("JPEG", NOISE),
    "smooth jpeg": encoded("JPEG"),
    "progressive jpeg": encoded("JPEG", NOISE, progressive=True),
    "jpeg with thumbnail": with_thumbnail(),
    "jpeg with restart marks": cv2.imencode(".jpg", NOISE, [cv2.IMWRITE_JPEG_RST_INTERVAL, 1])[1].tobytes(),
    "jpeg with fill bytes before its end mark": encoded("JPEG", NOISE)[:-2] + b"\xff\xff\xff\xd9",
    "png": encoded("PNG", NOISE),
    "gif": encoded("GIF", NOISE[..., 0]),
    "bmp": encoded("BMP", NOISE),
    "webp": encoded("WEBP", NOISE),
}


@pytest.mark.parametrize("content", WHOLE_FILES.values(), ids=WHOLE_FILES.keys())
def test_a_file_cut_anywhere_is_refused_and_the_whole_one_is_not(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    whole = read_image(path)
    for share in (0.02, 0.2, 0.5, 0.8, 0.95, 0.99):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(ImageError, match=str(path)):
            read_image(path)
    path.write_bytes(content + b"trailing bytes \xff\xd8 after the end")
    np.testing.assert_array_equal(read_image(path), whole)


@pytest.mark.parametrize("name", ["jpeg", "progressive jpeg", "png"])
def test_a_file_without_its_last_byte_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").write_bytes(WHOLE_FILES[name][:-1])
    with pytest.raises(ImageError, match="truncated"):
        read_image(tmp_path / "a")


@pytest.mark.parametrize("name", ["jpeg", "progressive jpeg", "png", "gif", "bmp", "webp"])
def test_damage_anywhere_never_raises_anything_else(tmp_path: Path, name: str) -> None:
    generator = np.random.default_rng(1)
    path = tmp_path / "a"
    for _ in range(60):
        content = bytearray(WHOLE_FILES[name])
        for place in generator.integers(0, len(content), 3):
            content[place] = generator.integers(0, 256)
        path.write_bytes(content)
        for read in (read_image, image_size):
            with suppress(ImageError):
                read(path)


@pytest.mark.parametrize("read", [read_image, image_size])
def test_what_is_no_image_is_refused(tmp_path: Path, read: object) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_bytes(b"this is not an image")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("empty.jpg", "text.jpg", "folder.jpg", "missing.jpg"):
        with pytest.raises(ImageError, match=name):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "image"),
    [("a.xyz", picture()), ("a", picture()), ("a.png", picture()[..., 0]), ("a.png", picture() / 255.0)],
    ids=["unknown suffix", "no suffix", "grey", "floats"],
)
def test_writing_refuses_what_is_no_image_or_has_no_format(tmp_path: Path, name: str, image: np.ndarray) -> None:
    with pytest.raises(ImageError, match="cannot write"):
        write_image(tmp_path / name, image)
    assert list(tmp_path.iterdir()) == []


def test_a_png_damaged_in_the_middle_is_refused(tmp_path: Path) -> None:
    """Its chunks have checksums; a JPEG has none, and decodes to a damaged picture."""
    path = tmp_path / "a.png"
    for place in range(100, len(WHOLE_FILES["png"]) - 20, 997):
        content = bytearray(WHOLE_FILES["png"])
        content[place] ^= 0x55
        path.write_bytes(content)
        with pytest.raises(ImageError, match=str(path)):
            read_image(path)


def test_real_photographs_are_whole() -> None:
    paths = sorted((real_data_folder("icdar2015") / "val" / "images").iterdir())[:20]
    paths += sorted(real_data_folder("unlabelled").iterdir())[:20]
    for path in paths:
        assert read_image(path).shape[:2] == image_size(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "webp", "tiff"])
def test_one_limit_for_large_images_whichever_decoder_reads_them(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (80, 60)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # which the limit changes, set back after
    for limit, is_allowed in (("4800", True), ("4799", False)):
        monkeypatch.setenv(LIMIT_VARIABLE, limit)
        pixel_limit.cache_clear()
        if is_allowed:
            assert read_image(path).shape == (60, 80, 3)
            assert image_size(path) == (60, 80)
            continue
        message = (
            rf"a\.{suffix}: image has 80 x 60 pixels \(.*\), more than the limit of 4799 pixels; .*{LIMIT_VARIABLE}"
        )
        for read in (read_image, image_size):
            with pytest.raises(ImageError, match=message):
                read(path)
    pixel_limit.cache_clear()


def test_a_limit_above_that_of_pillow_holds_for_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's own is lowered here instead of decoding hundreds of megapixels."""
    Image.new("L", (80, 60)).save(tmp_path / "a.gif")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    pixel_limit.cache_clear()
    with pytest.raises(ImageError, match="more than the limit"):
        read_image(tmp_path / "a.gif")
    with pytest.raises(ImageError, match="more than the limit"):
        image_size(tmp_path / "a.gif")
    monkeypatch.setenv(LIMIT_VARIABLE, "1000000")
    pixel_limit.cache_clear()
    assert read_image(tmp_path / "a.gif").shape == (60, 80, 3)
    pixel_limit.cache_clear()


@pytest.mark.parametrize("value", ["0", "many", "-5", "1e6", str(2**31)])
def test_a_limit_that_is_none_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, value)
    pixel_limit.cache_clear()
    with pytest.raises(ConfigError, match=rf"{LIMIT_VARIABLE}='{value}': expected a number of pixels"):
        pixel_limit()
    monkeypatch.undo()
    pixel_limit.cache_clear()

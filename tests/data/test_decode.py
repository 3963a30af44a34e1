import contextlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ecor_jax.data.decode import decode_image
from ecor_jax.data.records import BadImage

PHOTO = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def test_decoding_gives_rgb_whatever_the_mode():
    np.testing.assert_array_equal(decode_image(encoded(PHOTO), "x"), PHOTO)
    grey = decode_image(encoded(PHOTO[..., 0], "PPM"), "x")
    np.testing.assert_array_equal(grey, np.repeat(PHOTO[..., :1], 3, axis=2))
    opaque = np.dstack([PHOTO, np.full((24, 32), 7, np.uint8)])
    np.testing.assert_array_equal(decode_image(encoded(opaque), "x"), PHOTO)


def test_palettes_with_transparency_keep_their_colours():
    file = io.BytesIO()
    palette = Image.fromarray(PHOTO).quantize(8)
    palette.save(file, "PNG", transparency=bytes([0, 128, 255]))
    np.testing.assert_array_equal(decode_image(file.getvalue(), "x"), palette.convert("RGB"))


def test_exif_orientation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    assert decode_image(encoded(PHOTO, "JPEG", exif=exif), "x").size == (32, 24)


@pytest.mark.parametrize("content", [b"", b"no image", encoded(PHOTO)[:200], encoded(PHOTO, "JPEG")[:300]])
def test_undecodable_images_are_named(content):
    with pytest.raises(BadImage, match=r"some/image\.png (is not an image|cannot be decoded)"):
        decode_image(content, "some/image.png")


def test_gigantic_images_are_bad_images(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BadImage, match="decompression bomb"):
        decode_image(encoded(PHOTO), "some/image.png")


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "PPM", "WEBP", "TIFF"]),
    keep=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # about damaged metadata
def test_damaged_files_decode_or_are_bad_images(kind, keep, changes):
    content = bytearray(encoded(PHOTO, kind))
    for place, value in changes:
        content[int(place * len(content))] = value
    with contextlib.suppress(BadImage):
        assert decode_image(bytes(content[: round(keep * len(content))]), "x").mode == "RGB"


@pytest.mark.parametrize(("kind", "top"), [("PNG", 65535), ("PNG", 4095), ("TIFF", 65535), ("TIFF", 1.0)])
def test_grey_levels_beyond_eight_bits_are_stretched(kind, top):
    """PIL alone would cut them off at 255: nearly all white, with no word."""
    levels = np.linspace(0, top, 12).reshape(3, 4)
    image = Image.fromarray(levels.astype(np.float32 if top == 1.0 else np.uint16))
    file = io.BytesIO()
    image.save(file, kind)
    decoded = np.asarray(decode_image(file.getvalue(), "x"))
    np.testing.assert_allclose(decoded[..., 0], np.linspace(0, 255, 12).reshape(3, 4), atol=0.57)
    assert (decoded == decoded[..., :1]).all()


def test_flat_and_endless_grey_levels():
    def tiff(value):
        file = io.BytesIO()
        Image.fromarray(np.full((3, 4), value, np.float32)).save(file, "TIFF")
        return file.getvalue()

    assert not np.asarray(decode_image(tiff(300), "x")).any()
    with pytest.raises(BadImage, match=r"x cannot be decoded: grey levels that are not finite"):
        decode_image(tiff(np.nan), "x")


def test_what_follows_a_jpeg_is_none_of_it():
    """As phones hang a film behind a picture, whose bytes look like anything."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (9, 99, 199)).save(file, "JPEG", progressive=True)
    assert decode_image(file.getvalue() + b"\xff\xda\0\2" * 1000, "x.jpg").size == (8, 8)


def test_a_tile_beyond_the_picture_is_not_decoded():
    with pytest.raises(BadImage, match=r"x\.tif cannot be decoded: it has 20000x20000 pixels"):
        decode_image(tiled(20_000), "x.tif")


def tiled(side: int) -> bytes:
    """A TIFF of 16x16 grey pixels in one tile of `side` pixels, which is not there."""
    entries = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 277: 1, 322: side, 323: side, 324: 8, 325: 1}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + directory + bytes(4)

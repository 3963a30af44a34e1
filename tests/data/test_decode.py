import io
import struct

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin, features

from ecor_jax.data.decode import decode_image, pixels_of
from ecor_jax.data.records import BadImage
from ecor_jax.untrusted import pictures
from tests.data.toys import PHOTO, encoded

GREY = PHOTO[..., :1].repeat(3, axis=2)
PALETTE = Image.fromarray(PHOTO).quantize(8)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (encoded(PHOTO), PHOTO),
        (encoded(PHOTO, "BMP"), PHOTO),
        (encoded(PHOTO, "PPM"), PHOTO),
        (encoded(PHOTO[..., 0], "PPM"), GREY),
        (encoded(np.dstack([PHOTO, np.full((24, 32), 7, np.uint8)])), PHOTO),
        (encoded(PALETTE, transparency=bytes([0, 128, 255])), PALETTE.convert("RGB")),
        (encoded(np.full((3, 4), 300, np.float32), "TIFF"), np.zeros((3, 4, 3))),  # flat: black
    ],
)
def test_decoding_gives_rgb_whatever_the_mode(content, expected):
    np.testing.assert_array_equal(decode_image(content, "x"), expected)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_pictures_are_upright(kind, orientation):
    """As Pillow turns them, and so browsers; numbers that EXIF does not know say nothing."""
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(PHOTO, kind, exif=exif)
    decoded = decode_image(content, "x")
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(expected))
    assert decoded.size == ((24, 32) if 5 <= orientation <= 8 else (32, 24))
    assert not decoded.getexif() and not decoded.info  # a page would turn it once more


@pytest.mark.parametrize(("kind", "pixels"), [("GIF", GREY), ("WEBP", PHOTO), ("TIFF", PHOTO)])
def test_the_first_of_several_pictures_is_read(kind, pixels):
    first, second = (Image.fromarray(frame[..., 0] if kind == "GIF" else frame) for frame in (pixels, 255 - pixels))
    content = encoded(first, kind, save_all=True, append_images=[second], lossless=True)
    np.testing.assert_array_equal(decode_image(content, "x"), pixels)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"nonsense", b"II*\0\x08\0\0\0\xff\xff", b"MM\0*\xff\xff\xff\xff"])
def test_damaged_metadata_leaves_the_pixels(exif):
    plain = decode_image(encoded(PHOTO, "JPEG"), "x")
    assert decode_image(encoded(PHOTO, "JPEG", exif=b"Exif\0\0" + exif), "x").tobytes() == plain.tobytes()


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "iCCP"])
def test_what_stands_beside_the_pixels_of_a_png_does_not_matter(kind):
    """Pillow refuses texts and profiles of more than 1 MB, however small they are in the file."""
    texts, more = PngImagePlugin.PngInfo(), {}
    if kind == "iCCP":
        more["icc_profile"] = bytes(range(256)) * 8000
    elif kind == "iTXt":
        texts.add_itxt("XML:com.adobe.xmp", "a" * 2_000_000, zip=True)
    else:
        texts.add_text("workflow", "node " * 400_000, zip=kind == "zTXt")
    assert decode_image(encoded(PHOTO, pnginfo=texts, **more), "x").tobytes() == PHOTO.tobytes()


@pytest.mark.parametrize(("kind", "top"), [("PNG", 65535), ("PNG", 4095), ("TIFF", 65535), ("TIFF", 1.0)])
def test_grey_levels_beyond_eight_bits_are_stretched(kind, top):
    """PIL alone would cut them off at 255: nearly all white, with no word."""
    levels = np.linspace(0, top, 12).reshape(3, 4).astype(np.float32 if top == 1.0 else np.uint16)
    decoded = np.asarray(decode_image(encoded(levels, kind), "x"))
    np.testing.assert_allclose(decoded[..., 0], np.linspace(0, 255, 12).reshape(3, 4), atol=0.57)
    assert (decoded == decoded[..., :1]).all()


def test_what_follows_a_jpeg_is_none_of_it():
    """As phones hang a film behind a picture, whose bytes look like anything."""
    content = encoded(Image.new("RGB", (8, 8), (9, 99, 199)), "JPEG", progressive=True)
    assert decode_image(content + b"\xff\xda\0\2" * 1000, "x.jpg").size == (8, 8)


def tiled(side: int) -> bytes:
    """A TIFF of 16x16 grey pixels in one tile of `side` pixels, which is not there."""
    entries = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 277: 1, 322: side, 323: side, 324: 8, 325: 1}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + directory + bytes(4)


UNREAD = "cannot be decoded: its format, {}, is not read; expected JPEG"
BROKEN = "(is not an image|cannot be decoded)"


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "photo.jpg", UNREAD.format("HEIC")),
        (b"\xff\x0a" + bytes(40), "x.jxl", UNREAD.format("JPEG XL")),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "x.svg", UNREAD.format("SVG")),
        (b"8BPS" + bytes(40), "x.psd", UNREAD.format("Photoshop")),
        (b"II*\0" + bytes(40), "x.NEF", UNREAD.format("camera raw")),
        (b"", "some/image.png", BROKEN),
        (b"no image", "some/image.png", BROKEN),
        (encoded(PHOTO)[:200], "some/image.png", BROKEN),
        (encoded(PHOTO, "JPEG")[:300], "some/image.png", BROKEN),
        (encoded(np.zeros((60, 60), np.uint8)), "x.png", "cannot be decoded: it has 60x60 pixels; at most 1,500"),
        (tiled(20_000), "x.tif", "cannot be decoded: it has 20000x20000 pixels"),
        (encoded(np.full((3, 4), np.nan, np.float32), "TIFF"), "x", "cannot be decoded: grey levels that are not fin"),
    ],
)
def test_what_is_no_picture_is_named_with_the_reason(content, name, message, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 1500)
    with pytest.raises(BadImage, match=f"{name} {message}"):
        decode_image(content, name)


PIXELS = np.linspace(0, 255, 20 * 30 * 3).round().astype(np.uint8).reshape(20, 30, 3)
SHADES = PIXELS[..., :1].repeat(3, axis=2)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (PIXELS, PIXELS),
        (PIXELS / 255, PIXELS),
        (PIXELS.astype("f4"), PIXELS),
        ((PIXELS / 255).astype("f2"), PIXELS),
        (PIXELS.astype(int), PIXELS),
        (PIXELS[..., 0], SHADES),
        (PIXELS[..., :1], SHADES),
        (PIXELS[..., :1].transpose(2, 0, 1), SHADES),
        (PIXELS.transpose(2, 0, 1), PIXELS),
        (np.dstack([PIXELS, PIXELS[..., 0]]), PIXELS),
        (jnp.asarray(PIXELS), PIXELS),
        (jnp.asarray(PIXELS / 255), PIXELS),
        (jnp.zeros((4, 5, 3), jnp.bfloat16), np.zeros((4, 5, 3))),
    ],
)
def test_arrays(array, expected):
    found = pixels_of(array, "picture 1")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((6, 5, 2)), r"float64 and shape \(6, 5, 2\); expected numbers"),
        (np.zeros(5), "shape"),
        (np.zeros((0, 5, 3)), "shape"),
        (np.full((4, 5, 3), np.nan), "values from nan to nan; expected 0 to 255"),
        (np.full((4, 5, 3), -1.0), "values from -1 to -1"),
        (np.full((4, 5, 3), 256), "values from 256 to 256"),
        (np.array([["a"]]), "expected numbers"),
    ],
)
def test_arrays_that_are_no_pictures(array, message):
    with pytest.raises(BadImage, match=f"picture 1 is an array of .*{message}"):
        pixels_of(array, "picture 1")


def test_a_limit_of_pillow_that_was_lifted_stays_lifted(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    decode_image(encoded(PHOTO), "some/image.png")
    assert Image.MAX_IMAGE_PIXELS is None

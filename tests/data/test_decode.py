import contextlib
import io
import struct

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from ecor_jax.data.decode import decode_image, pixels_of
from ecor_jax.data.records import BadImage
from ecor_jax.untrusted import pictures

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


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_pictures_are_upright(kind, orientation):
    """As Pillow turns them, and so browsers; numbers that EXIF does not know say nothing."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(PHOTO, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    decoded = decode_image(content, "x")
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(expected))
    assert decoded.size == ((24, 32) if 5 <= orientation <= 8 else (32, 24))
    assert not decoded.getexif() and not decoded.info  # a page would turn it once more


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
    content = encoded(PHOTO, "PNG", pnginfo=texts, **more)
    assert decode_image(content, "x").tobytes() == PHOTO.tobytes()


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "photo.jpg", "HEIC"),
        (b"\xff\x0a" + bytes(40), "x.jxl", "JPEG XL"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "x.svg", "SVG"),
        (b"8BPS" + bytes(40), "x.psd", "Photoshop"),
        (b"II*\0" + bytes(40), "x.NEF", "camera raw"),
    ],
)
def test_formats_that_are_not_read_are_named_with_those_that_are(content, name, kind):
    with pytest.raises(BadImage, match=rf"{name} cannot be decoded: its format, {kind}, is not read; expected JPEG"):
        decode_image(content, name)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (lambda x: x, lambda x: x),
        (lambda x: x / 255, lambda x: x),
        (lambda x: x.astype("f4"), lambda x: x),
        (lambda x: (x / 255).astype("f2"), lambda x: x),
        (lambda x: x.astype(int), lambda x: x),
        (lambda x: x[..., 0], lambda x: x[..., :1].repeat(3, axis=2)),
        (lambda x: x[..., :1], lambda x: x[..., :1].repeat(3, axis=2)),
        (lambda x: x[..., :1].transpose(2, 0, 1), lambda x: x[..., :1].repeat(3, axis=2)),
        (lambda x: x.transpose(2, 0, 1), lambda x: x),
        (lambda x: np.dstack([x, x[..., 0]]), lambda x: x),
        (jnp.asarray, lambda x: x),
        (lambda x: jnp.asarray(x / 255), lambda x: x),
        (lambda x: jnp.zeros((4, 5, 3), jnp.bfloat16), lambda x: np.zeros((4, 5, 3))),
    ],
)
def test_arrays(array, expected):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    pixels[0, 0] = 255
    found = pixels_of(array(pixels), "picture 1")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected(pixels))


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


@pytest.mark.parametrize("content", [b"", b"no image", encoded(PHOTO)[:200], encoded(PHOTO, "JPEG")[:300]])
def test_undecodable_images_are_named(content):
    with pytest.raises(BadImage, match=r"some/image\.png (is not an image|cannot be decoded)"):
        decode_image(content, "some/image.png")


def test_gigantic_images_are_bad_images(monkeypatch):
    monkeypatch.setattr(pictures, "MOST_PIXELS", 100)
    with pytest.raises(BadImage, match="at most 100 are read"):
        decode_image(encoded(PHOTO), "some/image.png")


def test_a_limit_of_pillow_that_was_lifted_stays_lifted(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    decode_image(encoded(PHOTO), "some/image.png")
    assert Image.MAX_IMAGE_PIXELS is None


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

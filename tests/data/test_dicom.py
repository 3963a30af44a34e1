import io
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmwrite, uid
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_voi_lut

from ecor_jax.data.decode import decode_image
from ecor_jax.data.dicom import decode, is_dicom
from ecor_jax.data.images import open_images
from ecor_jax.data.records import BadImage
from ecor_jax.untrusted import pictures
from tests.data.toys import encoded

GREY = np.random.default_rng(0).integers(0, 4096, (12, 10)).astype(np.uint16)


def dataset(pixels: np.ndarray | None, kind: str = "MONOCHROME2", bits: int | None = None, **tags: Any) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    image.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    image.SOPInstanceUID = "1.2.3"
    if pixels is not None:
        image.set_pixel_data(pixels, kind, bits or 8 * pixels.itemsize, generate_instance_uid=False)
    for name, value in tags.items():
        setattr(image, name, value)
    return image


def written(image: Dataset) -> bytes:
    file = io.BytesIO()
    image.save_as(file, enforce_file_format=True)
    return file.getvalue()


def bare(image: Dataset, implicit: bool = False) -> bytes:
    """The elements alone, from group 8 on, as old scanners and some exports write them."""
    file = io.BytesIO()
    del image.file_meta
    dcmwrite(file, image, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    return file.getvalue()


def framed(image: Dataset, frame: bytes) -> Dataset:
    """With this compressed frame for its pixels."""
    image.PixelData = encapsulate([frame])
    image["PixelData"].VR, image["PixelData"].is_undefined_length = "OB", True
    return image


def compressed(syntax: uid.UID, frame: bytes, like: Dataset) -> bytes:
    like.file_meta.TransferSyntaxUID = syntax
    return written(framed(like, frame))


def table(entries: Any, first: int, bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "OW" if isinstance(entries, bytes) else "US", entries)
    return item


def shown(image: Dataset) -> np.ndarray:
    """The one channel of a grey picture."""
    picture = decode(written(image), "x.dcm")
    assert picture.mode == "RGB"
    pixels = np.asarray(picture)
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


WINDOW = {"WindowCenter": 128, "WindowWidth": 256}
TABLE = {"VOILUTSequence": [table([0, 2048, 1024, 4095], 10, 12)]}
TURNED = {"RescaleSlope": -1, "RescaleIntercept": 255}


@pytest.mark.parametrize(
    ("values", "bits", "tags", "expected"),
    [
        # Without a window, or with an empty one, the range is that of the image; an even image is black.
        ([100, 151, 202, 355], 10, {}, [0, 51, 102, 255]),
        ([100, 151, 202, 355], 10, {"PhotometricInterpretation": "MONOCHROME1"}, [255, 204, 153, 0]),
        ([100, 151, 202, 355], 10, {"WindowCenter": None, "WindowWidth": None}, [0, 51, 102, 255]),
        ([7, 7, 7], 8, {}, [0, 0, 0]),
        # Unused bits are ignored.
        ([0xFC00, 0xFC00 | 1023, 0xFC00 | 511], 10, {}, [0, 255, 127]),
        # C.11.2.1.2.1: centre 2048, width 4096 is the identity of 12 bits; below 11 - .5 - 10/2 all is black.
        ([0, 5, 6, 10, 15, 4095], 12, {"WindowCenter": 11, "WindowWidth": 11}, [0, 0, 13, 115, 242, 255]),
        ([0, 4095], 12, {"WindowCenter": 2048, "WindowWidth": 4096}, [0, 255]),
        # A window 1 wide is a step; the first of several counts.
        ([99, 100, 101], 8, {"WindowCenter": 100, "WindowWidth": 1}, [0, 255, 255]),
        ([99, 100, 101], 8, {"WindowCenter": [100, 9], "WindowWidth": [1, 99]}, [0, 255, 255]),
        # A lookup table goes before a window, and after a rescale.
        ([0, 9, 10, 11, 12, 13, 200], 12, TABLE | WINDOW, [0, 0, 0, 128, 64, 255, 255]),
        ([0, 1, 2, 3], 8, TABLE | {"RescaleSlope": 1, "RescaleIntercept": 10}, [0, 128, 64, 255]),
        # A negative slope turns the image once.
        ([0, 100, 255], 8, TURNED, [255, 155, 0]),
        ([0, 100, 255], 8, TURNED | WINDOW, [255, 155, 0]),
        ([0, 100, 255], 8, TURNED | WINDOW | {"PhotometricInterpretation": "MONOCHROME1"}, [0, 100, 255]),
    ],
)
def test_hand_worked_pictures(values, bits, tags, expected):
    pixels = np.array([values], np.uint8 if bits == 8 else np.uint16)
    image = dataset(pixels & (2**bits - 1), bits=bits, **tags)
    if bits > 8:
        image.PixelData = pixels.tobytes()
    np.testing.assert_array_equal(shown(image), [expected])


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_every_depth_and_sign(bits, signed):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    kind = np.dtype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")
    values = np.linspace(low, high, 256).round().astype(kind).reshape(16, 16)
    expected = [math.floor((int(value) - low) / (high - low) * 255 + 0.5) for value in values.ravel()]
    np.testing.assert_array_equal(shown(dataset(values, bits=bits)).ravel(), expected)


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("rescale", [None, (1, -1024), (0.5, 100)])
def test_windows_are_as_in_pydicom(function, rescale):
    slope, intercept = rescale or (1, 0)
    image = dataset(GREY, bits=12, WindowCenter=900, WindowWidth=1300)
    if function:
        image.VOILUTFunction = function
    if rescale:
        image.RescaleSlope, image.RescaleIntercept = rescale
    windowed = apply_voi_lut(GREY.astype(float) * slope + intercept, image)
    expected = (windowed - intercept) / (4095 * slope) * 255
    np.testing.assert_allclose(shown(image), expected, atol=0.5001)
    image.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_allclose(shown(image), 255 - expected, atol=0.5001)


@pytest.mark.parametrize("entries", [np.arange(4096) // 16, (np.arange(4096) // 16).astype(np.uint8)])
def test_a_table_of_8_bits_for_12_bits_does_not_wrap_around(entries):
    content = entries.tobytes() if entries.dtype == np.uint8 else entries.tolist()
    image = dataset(GREY, bits=12, VOILUTSequence=[table(content, 0, 8)])
    np.testing.assert_array_equal(shown(image), GREY // 16)


def test_colour():
    rgb = np.random.default_rng(2).integers(0, 256, (6, 5, 3), np.uint8)
    np.testing.assert_array_equal(decode(written(dataset(rgb, "RGB")), "x"), rgb)
    ybr = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    decoded = decode(written(dataset(ybr, "YBR_FULL")), "x")
    np.testing.assert_allclose(np.asarray(decoded, int), np.asarray(rgb, int), atol=3)


SMOOTH = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8) * 8


@pytest.mark.parametrize(
    ("syntax", "frame", "tolerance"),
    [
        (uid.JPEGBaseline8Bit, encoded(SMOOTH, "JPEG", quality=95), 4),
        (uid.JPEG2000Lossless, encoded(SMOOTH, "JPEG2000", irreversible=False, no_jp2=True), 0),
    ],
)
def test_compressed_pixels(syntax, frame, tolerance):
    picture = decode(compressed(syntax, frame, dataset(SMOOTH, **WINDOW)), "x")
    np.testing.assert_allclose(np.asarray(picture)[..., 0].astype(int), SMOOTH, rtol=0, atol=tolerance)


def test_one_image_in_several_codings():
    names = ["MR_small.dcm", "MR_small_RLE.dcm", "MR_small_implicit.dcm", "MR_small_jp2klossless.dcm"]
    contents = [Path(str(get_testdata_file(name, download=False))).read_bytes() for name in names]
    plain, *others = (np.asarray(decode(content, "x")) for content in contents)
    assert all(np.array_equal(other, plain) for other in others)


def grey(bits: int | None = None, without: str = "", **tags: Any) -> bytes:
    image = dataset(GREY, bits=bits, **tags)
    if without:
        del image[without]
    return written(image)


PALETTE = written(dataset(np.zeros((2, 2), np.uint8), PhotometricInterpretation="PALETTE COLOR"))
LOSSLESS_LS = compressed(uid.JPEGLSLossless, b"\xff\xd8\xff\xf7junk", dataset(GREY, bits=12))
UNKNOWN_SYNTAX = LOSSLESS_LS.replace(b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.4.99")
UNNAMED_SYNTAX = bytes(128) + b"DICM" + bare(framed(dataset(GREY), b"frame " * 10))
OTHER_VOI = {"WindowCenter": 5, "WindowWidth": 9, "VOILUTFunction": "CUBIC"}
BROKEN, NO_DECODER = "is a DICOM file that cannot be decoded", "and no decoder of it is installed"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is not a DICOM file \(0 bytes, no mark DICM at 128, no element\)"),
        (b"\xff\xd8" * 200, r"is not a DICOM file \(400 bytes"),
        (b"\0" * 128 + b"DICM", "is a DICOM file"),
        (b"\0" * 128 + b"DICM" + b"\xff" * 99, "is a DICOM file"),
        (written(dataset(None)), "is a DICOM file without pixels$"),
        (written(dataset(np.zeros((3, 4, 5), np.uint8))), "is a DICOM file of 3 frames; expected one"),
        (grey(12)[:-7], BROKEN),
        (grey(without="Rows"), f"{BROKEN}: .*Rows"),
        (grey(without="PhotometricInterpretation"), f"{BROKEN}: .*Photometric"),
        (PALETTE.replace(b"E COLOR", b"E\nCOLO\x1b"), f"{BROKEN}: Unknown .* value 'PALETTE COLO '"),
        (UNKNOWN_SYNTAX, rf"is compressed as '1\.2\.840\.10008\.1\.2\.4\.99', {NO_DECODER}"),
        (LOSSLESS_LS, f"is compressed as 'JPEG-LS Lossless Image Compression', {NO_DECODER}"),
        (UNNAMED_SYNTAX, ".*is compressed, but does not say how"),
        (grey(WindowCenter=5, WindowWidth=0), f"{BROKEN}: a window 0 wide"),
        (grey(**OTHER_VOI), f"{BROKEN}: the VOI function CUBIC; expected LINEAR, LINEAR_EXACT or SIGMOID"),
        (PALETTE, "is a DICOM file in uint8 'PALETTE COLOR'; expected MONOCHROME1, MONOCHROME2 or 8-bit RGB"),
        (written(dataset(np.zeros((2, 2, 3), np.uint16), "RGB")), "is a DICOM file in uint16 'RGB'; expected MONO"),
    ],
)
def test_what_is_no_picture_is_named(content, message):
    with warnings.catch_warnings(), pytest.raises(BadImage, match=f"^some/x.dcm {message}") as raised:
        warnings.simplefilter("ignore")  # pydicom's own, about the damage
        decode(content, "some/x.dcm")
    assert str(raised.value).isprintable()


def test_an_image_as_large_as_a_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 119)
    with pytest.raises(BadImage, match=r"x is a DICOM file that cannot be decoded: .* at most 119 are read"):
        decode(grey(), "x")


def test_dicoms_are_images_like_others(make_folder):
    source = open_images(make_folder({"effusion/1.dcm": grey(12), "effusion/2.DCM": b"no picture"}))
    assert source.categories == ("effusion", "effusion")
    np.testing.assert_array_equal(decode_image(source[0]["image"], "x"), decode(grey(12), "x"))
    with pytest.raises(BadImage, match=r"effusion/2\.DCM is not an image that can be decoded \(10 bytes\)"):
        decode_image(source[1]["image"], source[1]["name"])


RAMP = np.arange(1000, 1120).astype(np.uint16).reshape(12, 10)


def test_a_picture_of_nothing_but_padding_is_black():
    assert not shown(dataset(np.full_like(RAMP, 7), PixelPaddingValue=7)).any()


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("padding", "tags"), [(0, {}), (65535, {}), (63000, {"PixelPaddingRangeLimit": 63536})])
def test_padding_moves_no_window_and_is_black(kind, padding, tags):
    pixels = RAMP.copy()
    pixels[:3] = padding
    image = dataset(pixels, kind, PixelPaddingValue=padding, **tags)
    image["PixelPaddingValue"].VR = "US"
    rest = np.rint((RAMP[3:] - 1030.0) / 89 * 255)
    expected = np.vstack([np.zeros((3, 10)), 255 - rest if kind == "MONOCHROME1" else rest])
    np.testing.assert_array_equal(shown(image), expected)


def test_signed_padding_beyond_the_stored_bits():
    """-32768 in pictures of 12 bits: beyond what the bits that count can say, where 0 is tissue."""
    pixels = (RAMP.astype(np.int16) - 1000).copy()
    pixels[:3] = -32768
    image = dataset(pixels, bits=16)
    image.BitsStored, image.HighBit = 12, 11
    for value in (-32768, 32768):  # written as what it is, or as if it were unsigned
        image.add_new("PixelPaddingValue", "SS" if value < 0 else "US", value)
        expected = np.rint((pixels[3:] - 30.0) / 89 * 255)
        np.testing.assert_array_equal(shown(image), np.vstack([np.zeros((3, 10)), expected]))


SHUTTERS = {
    "RECTANGULAR": (
        {"ShutterLeftVerticalEdge": 2, "ShutterRightVerticalEdge": 9}
        | {"ShutterUpperHorizontalEdge": 3, "ShutterLowerHorizontalEdge": 11},
        lambda row, column: (row > 3) & (row < 11) & (column > 2) & (column < 9),
    ),
    "CIRCULAR": (
        {"CenterOfCircularShutter": [6, 5], "RadiusOfCircularShutter": 3},
        lambda row, column: (row - 6) ** 2 + (column - 5) ** 2 <= 9,
    ),
    "POLYGONAL": (
        {"VerticesOfThePolygonalShutter": [2, 2, 2, 9, 11, 9, 11, 2]},
        lambda row, column: (row >= 2) & (row <= 11) & (column >= 2) & (column <= 9),
    ),
}


@pytest.mark.parametrize("shape", SHUTTERS)
def test_what_a_shutter_covers_moves_no_window_and_is_black(shape):
    tags, inside = SHUTTERS[shape]
    seen = inside(*np.mgrid[1:13, 1:11])
    low, high = float(RAMP[seen].min()), float(RAMP[seen].max())
    expected = np.where(seen, np.rint((RAMP - low) / (high - low) * 255), 0)
    np.testing.assert_array_equal(shown(dataset(RAMP, ShutterShape=shape, **tags)), expected)


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("preamble", [b"", bytes(128) + b"DICM"])
def test_files_without_preamble_or_transfer_syntax(implicit, preamble):
    image = dataset(RAMP)
    image["PixelData"].VR = "OW"
    content = preamble + bare(image, implicit)
    assert is_dicom(content)
    expected = np.rint((RAMP - 1000.0) / 119 * 255)
    np.testing.assert_array_equal(np.asarray(decode_image(content, "x"))[..., 0], expected)

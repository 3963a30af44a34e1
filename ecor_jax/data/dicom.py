"""DICOM decoder: converts single-frame files to RGB images with the grey values that a viewer would show."""

import io
import re
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ecor_jax.data.records import BadImage
from ecor_jax.errors import needs
from ecor_jax.untrusted.pictures import check_scans, check_size

_MAGIC = b"DICM"
_MAGIC_AT = 128  # bytes: the preamble (PS3.10, 7.1)
_DEFLATED = b"1.2.840.10008.1.2.1.99"
"""The deflated transfer syntax, which pydicom inflates without a size limit before any field is read."""


_BARE = re.compile(
    rb"[\x02\x08]\0[\0-\x80]\0"
    rb"(?:(?:AE|AS|CS|DA|DS|DT|FD|FL|IS|LO|LT|PN|SH|SL|SS|ST|TM|UI|UL|US|OB|UN|SQ)|.[\0-\x0f]\0\0)",
    re.DOTALL,
)
"""The start of the first element of a file without preamble: group 2 or 8, and an explicit VR or a length."""


def is_dicom(content: bytes) -> bool:
    """Returns whether the content begins like DICOM: with the mark after the preamble, or an element (old files)."""
    return content[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC or bool(_BARE.match(content))


def decode(content: bytes, name: str) -> Image.Image:
    """Decodes a single-frame DICOM file to an RGB image.

    Grey values follow PS3.3 C.11 and C.7.6.3.1.2: the stored values (8 to 16 bits, signed or unsigned) pass the
    modality rescale, then the first VOI lookup table, else the first window, else a linear map of the minimum and the
    maximum to black and white. MONOCHROME1 is inverted, so that bone is white. Pixels outside the image according to a
    padding value or range (C.7.5.1.1.2) or a shutter (C.7.6.11) are black and do not count for the range of values.
    Colour images must have 8 bits; YBR is converted to RGB. The files of MIMIC-CXR-JPG differ: their minimum and
    maximum are mapped to black and white, and their histogram is equalised.

    Files of old scanners without a preamble or a transfer syntax are read with the encoding of their first elements.

    Raises BadImage naming `name` if the content is not DICOM, is damaged, has no pixels, several frames or indexed
    colours, is larger than `untrusted.pictures` allows, or is compressed in a way that no installed decoder reads.
    Raises UserError if pydicom is not installed.
    """
    if not is_dicom(content):
        raise BadImage(f"{name} is not a DICOM file ({len(content)} bytes, no mark DICM at {_MAGIC_AT}, no element)")
    if _DEFLATED in content:
        raise BadImage(f"{name} is a DICOM file that is deflated as a whole; save it in another transfer syntax")
    needs("pydicom", "xray")
    try:
        return Image.fromarray(_pixels(content, name)).convert("RGB")
    except BadImage:
        raise
    except Exception as error:  # pydicom raises many types for damaged files
        reason = " ".join("".join(letter if letter.isprintable() else " " for letter in str(error)).split())
        raise BadImage(f"{name} is a DICOM file that cannot be decoded: {reason[:300]}") from error


def _pixels(content: bytes, name: str) -> np.ndarray:
    """Returns uint8 [rows, columns], or [rows, columns, 3] for colour."""
    # Imported late, because it is slow and most runs read no DICOM.
    from pydicom.encaps import get_frame
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.processing import apply_modality_lut
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import JPEG2000TransferSyntaxes, JPEGTransferSyntaxes

    dataset = _read(content, name)
    if "PixelData" not in dataset:
        raise BadImage(f"{name} is a DICOM file without pixels")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise BadImage(f"{name} is a DICOM file of {frames} frames; expected one")
    check_size(dataset.Columns, dataset.Rows)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in JPEGTransferSyntaxes or syntax in JPEG2000TransferSyntaxes:
        _check_frame(get_frame(dataset.PixelData, 0, number_of_frames=1), (dataset.Columns, dataset.Rows))
    try:
        readable = get_decoder(syntax).is_available
    except NotImplementedError:
        readable = False
    if not readable:
        raise BadImage(
            f"{name} is compressed as {syntax.name!r}, and no decoder of it is installed (pylibjpeg has most)"
        )
    stored = pixel_array(dataset)
    kind = str(dataset.PhotometricInterpretation)
    if stored.ndim == 3 and stored.dtype == np.uint8:
        return stored
    if kind not in ("MONOCHROME1", "MONOCHROME2"):
        raise BadImage(
            f"{name} is a DICOM file in {stored.dtype} {kind!r}; expected MONOCHROME1, MONOCHROME2 or 8-bit RGB"
        )
    tissue = ~_shuttered(dataset, stored.shape)
    if "PixelPaddingValue" in dataset:  # it may use the bits above BitsStored
        tissue &= ~_padding(pixel_array(dataset, correct_unused_bits=False), dataset)
    grey = np.rint(_brightness(apply_modality_lut(stored, dataset), dataset, tissue) * 255).astype(np.uint8)
    return np.where(tissue, 255 - grey if kind == "MONOCHROME1" else grey, np.uint8(0))


def _read(content: bytes, name: str) -> Any:
    """Parses the dataset; a missing transfer syntax is set to the encoding in which the elements are written."""
    from pydicom import dcmread
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    dataset = dcmread(io.BytesIO(content), force=True)
    if "TransferSyntaxUID" in getattr(dataset, "file_meta", ()):
        return dataset
    if "PixelData" in dataset and dataset["PixelData"].is_undefined_length:
        raise BadImage(f"{name} is a DICOM file that is compressed, but does not say how (no transfer syntax)")
    implicit, little = dataset.original_encoding
    dataset.file_meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _padding(stored: np.ndarray, dataset: Any) -> np.ndarray:
    """Returns bool [rows, columns]: True for values that pad the image to a rectangle (PS3.3 C.7.5.1.1.2)."""
    ends = [dataset.get(end) for end in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    # The padding value may be written as unsigned for a signed image, and vice versa.
    low, *_, high = sorted(np.array([end for end in ends if end is not None] * 2).astype(stored.dtype))
    return (stored >= low) & (stored <= high)


def _shuttered(dataset: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Returns bool [rows, columns]: True under the display shutters (PS3.3 C.7.6.11); DICOM counts from 1."""
    shapes = dataset.get("ShutterShape") or ()
    covered = np.zeros(shape, bool)
    for kind in [shapes] if isinstance(shapes, str) else shapes:
        open_part = Image.new("1", (shape[1], shape[0]))
        draw = ImageDraw.Draw(open_part)
        if kind == "RECTANGULAR":
            sides = ("LeftVertical", "UpperHorizontal", "RightVertical", "LowerHorizontal")
            left, top, right, bottom = (int(dataset[f"Shutter{side}Edge"].value) for side in sides)
            # The shutter covers the edges, too.
            draw.rectangle([left, top, max(right - 2, left), max(bottom - 2, top)], fill=1)
        elif kind == "CIRCULAR":
            row, column = (int(number) - 1 for number in dataset.CenterOfCircularShutter)
            rows, columns = np.ogrid[: shape[0], : shape[1]]
            covered |= (rows - row) ** 2 + (columns - column) ** 2 > int(dataset.RadiusOfCircularShutter) ** 2
            continue
        elif kind == "POLYGONAL":
            corners = [int(number) - 1 for number in dataset.VerticesOfThePolygonalShutter]
            draw.polygon(list(zip(corners[1::2], corners[::2], strict=True)), fill=1)
        else:
            continue  # bitmaps apply to presentation states only
        covered |= ~np.asarray(open_part)
    return covered


def _check_frame(frame: bytes, expected: tuple[int, int]) -> None:
    """Raises ValueError if a compressed frame differs in size from its header, before the frame is decoded."""
    with Image.open(io.BytesIO(frame), formats=("JPEG", "JPEG2000")) as picture:
        if picture.size != expected:
            raise ValueError(f"its frame has {picture.size} pixels; expected {expected}")
        if picture.format == "JPEG":
            check_scans(frame)


def _brightness(values: np.ndarray, dataset: Any, tissue: np.ndarray) -> np.ndarray:
    """Returns float [rows, columns] in [0, 1] for values after the modality rescale; `tissue` masks the valid pixels.

    pydicom's apply_voi_lut (3.0) is not used: its 8-bit tables wrap around for values above 255, a negative rescale
    slope inverts its windows, and the range of its result is not documented.
    """
    if tables := dataset.get("VOILUTSequence"):
        return _looked_up(values, tables[0])
    if dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        centre, width = (float(np.ravel(dataset[key].value)[0]) for key in ("WindowCenter", "WindowWidth"))
        return _windowed(values, centre, width, str(dataset.get("VOILUTFunction") or "LINEAR").upper())
    counted = values[tissue] if tissue.any() else values
    low, high = float(counted.min()), float(counted.max())
    return np.clip((values - low) / ((high - low) or 1.0), 0, 1)


def _looked_up(values: np.ndarray, table) -> np.ndarray:
    """Applies PS3.3 C.11.2.1.1: values below the mapped range get the first entry, values above it the last."""
    count, first, bits = (int(number) for number in table.LUTDescriptor)
    entries = table.LUTData
    if isinstance(entries, bytes):
        wide = len(entries) >= 2 * (count or 1 << 16)
        entries = np.frombuffer(entries, "<u2" if wide else np.uint8)
    places = np.clip(np.rint(values).astype(np.int64) - first, 0, (count or 1 << 16) - 1)
    return np.clip(np.asarray(entries)[places] / (2**bits - 1), 0, 1)


def _windowed(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    """Applies PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID) or C.11.2.1.3.2 (LINEAR_EXACT)."""
    if width < 1 and (function == "LINEAR" or width <= 0):
        raise ValueError(f"a window {width:g} wide")
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -80, 80)))
    if function == "LINEAR":
        # A width of 1 is a step function; the small divisor avoids a division by zero.
        centre, width = centre - 0.5, max(width - 1, 1e-9)
    elif function != "LINEAR_EXACT":
        raise ValueError(f"the VOI function {function}; expected LINEAR, LINEAR_EXACT or SIGMOID")
    return np.clip((values - centre) / width + 0.5, 0, 1)

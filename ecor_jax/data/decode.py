"""From the bytes of an image file to its picture."""

import numpy as np
from PIL import Image, UnidentifiedImageError

from ecor_jax.data import dicom
from ecor_jax.data.records import BadImage, Record
from ecor_jax.untrusted.pictures import open_picture

_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
"""PIL's modes of grey levels beyond 8 bits, which its `convert` would cut off at 255."""


def decode_image(content: bytes, name: str) -> Image.Image:
    """The picture of an image file, in RGB. EXIF orientation is ignored, as in CLIP's own preprocessing.

    A DICOM file is told by its content and read as `dicom.decode` says. Grey levels of more than 8 bits are stretched
    from their least to their largest, as those of a DICOM without a window: what range they use, files do not say.

    Raises BadImage naming `name` if it is no image, is cut off, or is larger than `untrusted.pictures` allows.
    """
    if dicom.is_dicom(content):
        return dicom.decode(content, name)
    try:
        image = open_picture(content)
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")  # as PIL asks for; the colours are the same, RGB drops the alpha
        if image.mode in _DEEP:
            image = _shallow(image)
        if image.mode != "RGB":
            return image.convert("RGB")
        image.load()
        return image
    except UnidentifiedImageError as error:
        raise BadImage(f"{name} is not an image that can be decoded ({len(content)} bytes)") from error
    except Exception as error:  # PIL and its decoders meet damage with whatever it led to
        raise BadImage(f"{name} cannot be decoded: {error}") from error


def _shallow(image: Image.Image) -> Image.Image:
    levels = np.asarray(image)
    low, high = float(levels.min()), float(levels.max())
    if not np.isfinite(high - low):
        raise ValueError("grey levels that are not finite")
    scale, shallow = 255 / (high - low) if high > low else 0.0, np.empty(levels.shape, np.uint8)
    # Line by line: the largest pictures do not fit into memory four times over.
    for line, values in zip(shallow, levels, strict=True):
        line[:] = np.rint((values.astype(np.float64) - low) * scale)
    return Image.fromarray(shallow)


def picture_of(record: Record) -> Image.Image:
    """The picture of a record; BadImage as of `decode_image`."""
    image = record["image"]
    return Image.fromarray(image) if isinstance(image, np.ndarray) else decode_image(image, record["name"])

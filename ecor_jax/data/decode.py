"""Decoding of image files and in-memory arrays to RGB images."""

from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ecor_jax.data import dicom
from ecor_jax.data.records import BadImage, Record
from ecor_jax.untrusted.pictures import open_picture

_HIGH_BIT_DEPTH = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
"""PIL's grey modes with more than 8 bits, which its `convert` would clip at 255."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that makes an image upright, by EXIF orientation; other values are ignored."""


def decode_image(content: bytes, name: str) -> Image.Image:
    """Decodes an image file to RGB and rotates it upright according to its EXIF orientation.

    A model thus sees what a viewer shows. Only the pixels of the file are kept. A DICOM file is detected by its content
    and read by `dicom.decode`. Grey levels of more than 8 bits are stretched from their minimum to their maximum, like
    those of a DICOM file without a window, because files do not state the range that they use.

    Raises BadImage naming `name` if it is no image, is truncated, or is larger than `untrusted.pictures` allows.
    """
    if dicom.is_dicom(content):
        return dicom.decode(content, name)
    try:
        image = open_picture(content, name)
        image.load()
        return in_rgb(image)
    except UnidentifiedImageError as error:
        raise BadImage(f"{name} is not an image that can be decoded ({len(content)} bytes)") from error
    except Exception as error:  # PIL and its decoders raise many types for damaged files
        raise BadImage(f"{name} cannot be decoded: {error}") from error


def in_rgb(image: Image.Image) -> Image.Image:
    """Converts a loaded image to upright RGB and removes its metadata."""
    turn = _TURNS.get(_orientation(image))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # PIL warns otherwise; the colours are unchanged, and RGB drops the alpha
    if image.mode in _HIGH_BIT_DEPTH:
        image = _to_8_bit(image)
    image = image.convert("RGB")
    image = image if turn is None else image.transpose(turn)
    image.info = {}
    return image


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata; the pixels are intact
        return 1
    return orientation if isinstance(orientation, int) else 1


def pixels_of(array: Any, name: str) -> np.ndarray:
    """Converts an in-memory image, a NumPy, JAX or PyTorch array, to uint8 [height, width, 3].

    Accepts integers from 0 to 255; floats from 0 to 1, or from 0 to 255 if a value exceeds 1; and the shapes
    [height, width], [height, width, channels] and [channels, height, width] with 1, 3 or 4 channels (the fourth, the
    alpha channel, is dropped). If both the first and the last axis could be the channels, the last one is.

    Raises BadImage naming `name` for any other array.
    """
    try:
        values = np.asarray(array)
        if values.dtype.kind == "V" or values.dtype.name == "bfloat16":
            values = values.astype(np.float32)
    except Exception as error:  # from a device, or an array that requires gradients
        raise BadImage(f"{name} is an array that cannot be copied to this machine's memory: {error}") from error
    if values.ndim == 3 and values.shape[-1] not in (1, 3, 4) and values.shape[0] in (1, 3, 4):
        values = values.transpose(1, 2, 0)
    channels = values.shape[2] if values.ndim == 3 else 1
    found = f"{name} is an array of {values.dtype} and shape {values.shape}"
    if values.ndim not in (2, 3) or channels not in (1, 3, 4) or not values.size or values.dtype.kind not in "uif":
        raise BadImage(f"{found}; expected numbers, [height, width, 3], or of 1 or 4 channels")
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):
        raise BadImage(f"{found} with values from {low:g} to {high:g}; expected 0 to 255, or 0 to 1")
    if values.dtype.kind == "f":
        values = np.rint(values * np.float32(255 if high <= 1 else 1))
    values = values.astype(np.uint8).reshape(*values.shape[:2], channels)
    return np.ascontiguousarray(np.repeat(values, 3, axis=2) if channels == 1 else values[..., :3])


def _to_8_bit(image: Image.Image) -> Image.Image:
    levels = np.asarray(image)
    low, high = float(levels.min()), float(levels.max())
    if not np.isfinite(high - low):
        raise ValueError("grey levels that are not finite")
    scale, shallow = 255 / (high - low) if high > low else 0.0, np.empty(levels.shape, np.uint8)
    # Row by row, because float64 copies of the largest images would not fit into memory.
    for line, values in zip(shallow, levels, strict=True):
        line[:] = np.rint((values.astype(np.float64) - low) * scale)
    return Image.fromarray(shallow)


def picture_of(record: Record) -> Image.Image:
    """Returns the image of a record; raises BadImage as `decode_image` does."""
    image = record["image"]
    return Image.fromarray(image) if isinstance(image, np.ndarray) else decode_image(image, record["name"])

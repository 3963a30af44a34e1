"""Encoded pictures of others: few formats, and no more pixels than fit into memory."""

import io

from PIL import Image

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "PPM", "TIFF")
"""Pillow knows forty more, some of which start other programs (EPS) or allocate what a header says."""
MOST_PIXELS = 89_478_485
"""As Pillow's own bound: a quarter of a GiB in RGB."""
MOST_ELONGATED = 100
"""How many times as long as wide a picture may be: its shorter side is what models scale it by."""
MOST_SCANS = 100
"""Of a progressive JPEG; cameras and programs write about ten."""


class Implausible(ValueError):
    """A picture that is not decoded, and why."""


def open_picture(content: bytes) -> Image.Image:
    """The picture in a file's content, not decoded yet.

    Raises what Pillow raises for what is no picture, and Implausible for one too large or too long.
    """
    picture = Image.open(io.BytesIO(content), formats=FORMATS)
    check_size(*picture.size)
    if picture.format in ("JPEG", "MPO"):
        check_scans(content)
    return picture


def check_scans(content: bytes) -> None:
    """Implausible for a JPEG of many scans: each goes over all pixels, in however few bytes."""
    # The mark occurs in no compressed data of a JPEG.
    if (scans := content.count(b"\xff\xda")) > MOST_SCANS:
        raise Implausible(f"it has {scans:,} scans; at most {MOST_SCANS} are read")


def check_size(width: int, height: int) -> None:
    """Implausible for sides of a picture that would not fit into memory, now or once scaled."""
    if not (width > 0 and height > 0):
        raise Implausible(f"a picture of {width}x{height} pixels")
    if width * height > MOST_PIXELS:
        raise Implausible(f"it has {width}x{height} pixels; at most {MOST_PIXELS:,} are read")
    if max(width, height) > MOST_ELONGATED * min(width, height):
        raise Implausible(f"it is {width}x{height} pixels; at most {MOST_ELONGATED} times as long as wide is read")

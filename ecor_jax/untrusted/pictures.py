"""Encoded pictures of others: few formats, and no more pixels than fit into memory."""

import io
import re

from PIL import Image

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "PPM", "TIFF")
"""Pillow knows forty more, some of which start other programs (EPS) or allocate what a header says."""
MOST_PIXELS = Image.MAX_IMAGE_PIXELS = 178_956_970
"""Where Pillow ends in an error unless it is told otherwise; half a GiB in RGB. Phones take 108 million."""
MOST_ELONGATED = 100
"""How many times as long as wide a picture may be: its shorter side is what models scale it by."""
MOST_SCANS = 100
"""Of a progressive JPEG; cameras and programs write about ten."""
_MARK = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""Not those of a JPEG that stand within compressed data."""
_SCAN, _END = b"\xda", b"\xd9"
_TILE_WIDTH, _TILE_LENGTH = 322, 323


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
    if picture.format == "TIFF":
        # A tile is decoded whole, however little of it is in the picture.
        tags = picture.tag_v2  # pyright: ignore[reportAttributeAccessIssue] (of TIFF alone)
        check_size(tags.get(_TILE_WIDTH, 1), tags.get(_TILE_LENGTH, 1))
    return picture


def check_scans(content: bytes) -> None:
    """Implausible for a JPEG of many scans: each goes over all pixels, in however few bytes."""
    if content.count(b"\xff" + _SCAN) <= MOST_SCANS:
        return  # at most so many; which of them are scans is seen by one mark after another, 50 times as slowly
    scans, place = 0, 2
    while (mark := _MARK.search(content, place)) and mark[1] != _END and scans <= MOST_SCANS:
        scans += mark[1] == _SCAN
        # Every mark is followed by the length of what belongs to it; after a scan's come its compressed data.
        place = mark.end() + int.from_bytes(content[mark.end() : mark.end() + 2])
    if scans > MOST_SCANS:
        raise Implausible(f"it has more than {MOST_SCANS} scans")


def check_size(width: int, height: int) -> None:
    """Implausible for sides of a picture that would not fit into memory, now or once scaled."""
    if not (width > 0 and height > 0):
        raise Implausible(f"a picture of {width}x{height} pixels")
    if width * height > MOST_PIXELS:
        raise Implausible(f"it has {width}x{height} pixels; at most {MOST_PIXELS:,} are read")
    if max(width, height) > MOST_ELONGATED * min(width, height):
        raise Implausible(f"it is {width}x{height} pixels; at most {MOST_ELONGATED} times as long as wide is read")

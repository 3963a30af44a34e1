"""Encoded pictures of others: few formats, told by their content, and no more pixels than fit into memory."""

import io
import re

from PIL import Image

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "PPM", "TIFF", "AVIF")
"""Pillow knows forty more, some of which start other programs (EPS) or allocate what a header says."""
HEAD = 512
"""Bytes of a file that say what it is."""
_SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "WEBP": rb"RIFF.{4}WEBP",
    "GIF": rb"GIF8[79]a",
    "PPM": rb"P[1-6]\s+[\d#]",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "AVIF": rb".{4}ftypavi[fs]",
    "HEIC": rb".{4}ftyp(?:hei[cxms]|hev[cmsx]|mif1|msf1)",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "Photoshop": rb"8BPS",
    "OpenEXR": rb"\x76\x2f\x31\x01",
    "SVG": rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?(?:<!DOCTYPE svg[^>]*>\s*)?<svg\b",
    "PDF": rb"%PDF-",
}
"""How the content of a picture begins: of those that are read, FORMATS, and of others that people keep."""
_SIGNATURE = re.compile(b"|".join(b"(%s)" % pattern for pattern in _SIGNATURES.values()), re.DOTALL)
_CAMERA_RAW = (".nef", ".cr2", ".dng", ".arw", ".orf", ".rw2", ".pef", ".srw")
"""A TIFF inside, of which Pillow would show the thumbnail."""
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


def picture_format(head: bytes, name: str = "") -> str:
    """What a file is by its first HEAD bytes: one of FORMATS, the name of a format that is not read, or ''.

    name: of the file; its ending tells the raw files of cameras from other TIFFs.
    """
    match = _SIGNATURE.match(head)
    kind = "" if match is None or match.lastindex is None else list(_SIGNATURES)[match.lastindex - 1]
    return "camera raw" if kind == "TIFF" and name.lower().endswith(_CAMERA_RAW) else kind


def open_picture(content: bytes, name: str = "") -> Image.Image:
    """The picture in a file's content, not decoded yet.

    Raises what Pillow raises for what is no picture, and Implausible for one of a format that is not read, and for one
    too large or too long.
    """
    kind = picture_format(content[:HEAD], name)
    if kind and kind not in FORMATS:
        raise Implausible(f"its format, {kind}, is not read; expected {', '.join(FORMATS)}, or DICOM")
    content = _pixels_alone(content) if kind == "PNG" else content
    picture = Image.open(io.BytesIO(content), formats=FORMATS)
    check_size(*picture.size)
    if picture.format in ("JPEG", "MPO"):
        check_scans(content)
    if picture.format == "TIFF":
        # A tile is decoded whole, however little of it is in the picture.
        tags = picture.tag_v2  # pyright: ignore[reportAttributeAccessIssue] (of TIFF alone)
        check_size(tags.get(_TILE_WIDTH, 1), tags.get(_TILE_LENGTH, 1))
    return picture


def _pixels_alone(content: bytes) -> bytes:
    """A PNG without its texts and its colour profile.

    They say nothing about the pixels, and Pillow refuses a picture for those that expand too far.
    """
    kept, place, start = [content[:8]], 8, 8
    while place + 8 <= len(content):
        end = place + 12 + int.from_bytes(content[place : place + 4])
        if content[place + 4 : place + 8] in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
            kept.append(content[start:place])
            start = end
        place = end
    return b"".join([*kept, content[start:]]) if len(kept) > 1 else content


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

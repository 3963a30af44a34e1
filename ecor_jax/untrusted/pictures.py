"""Opens untrusted encoded pictures: a few formats, detected from the content, with limits on the number of pixels."""

import io
import re

from PIL import Image

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "PPM", "TIFF", "AVIF")
"""Formats that are read; of Pillow's forty others, some run other programs (EPS) or trust a header's sizes."""
HEAD = 512
"""Number of bytes of a file that determine its format."""
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
"""Regular expressions for the first bytes of a picture, for FORMATS and for common unsupported formats."""
_SIGNATURE = re.compile(b"|".join(b"(%s)" % pattern for pattern in _SIGNATURES.values()), re.DOTALL)
_CAMERA_RAW = (".nef", ".cr2", ".dng", ".arw", ".orf", ".rw2", ".pef", ".srw")
"""Suffixes of TIFF-based raw files, of which Pillow would decode the thumbnail."""
MAX_PIXELS = 178_956_970
"""Pillow's default limit for raising an error; half a GiB in RGB. Phone cameras reach 108 million."""
MAX_ASPECT_RATIO = 100
"""Maximum aspect ratio, because the shorter side determines the scale in models' preprocessing."""
MAX_SCANS = 100
"""Maximum number of scans of a progressive JPEG; cameras and programs write about ten."""
_MARK = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""Matches a JPEG marker, except the kinds that may stand within compressed data (stuffed zeros, restarts)."""
_SCAN, _END = b"\xda", b"\xd9"
_TILE_WIDTH, _TILE_LENGTH = 322, 323


class Implausible(ValueError):
    """Raised for a picture that is not decoded; the message gives the reason."""


def picture_format(head: bytes, name: str = "") -> str:
    """Returns the format of a file by its first HEAD bytes: one of FORMATS, an unsupported format's name, or ''.

    name: the file's name; its suffix distinguishes camera raw files from other TIFFs.
    """
    match = _SIGNATURE.match(head)
    kind = "" if match is None or match.lastindex is None else list(_SIGNATURES)[match.lastindex - 1]
    return "camera raw" if kind == "TIFF" and name.lower().endswith(_CAMERA_RAW) else kind


def open_picture(content: bytes, name: str = "") -> Image.Image:
    """Opens, without decoding it, the picture in a file's content.

    Raises Pillow's exceptions if it is not a picture, and Implausible if its format is unsupported or its size or
    aspect ratio exceeds a limit.
    """
    kind = picture_format(content[:HEAD], name)
    if kind and kind not in FORMATS:
        raise Implausible(f"its format, {kind}, is not read; expected {', '.join(FORMATS)}, or DICOM")
    content = _pixels_alone(content) if kind == "PNG" else content
    if Image.MAX_IMAGE_PIXELS is not None and Image.MAX_IMAGE_PIXELS < MAX_PIXELS:
        Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # or Pillow warns; a higher limit, or none (None), is kept
    picture = Image.open(io.BytesIO(content), formats=FORMATS)
    check_size(*picture.size)
    if picture.format in ("JPEG", "MPO"):
        check_scans(content)
    if picture.format == "TIFF":
        # A tile is decoded completely, even if little of it is inside the picture.
        tags = picture.tag_v2  # pyright: ignore[reportAttributeAccessIssue] (of TIFF alone)
        check_size(tags.get(_TILE_WIDTH, 1), tags.get(_TILE_LENGTH, 1))
    return picture


def _pixels_alone(content: bytes) -> bytes:
    """Removes the text chunks and the colour profile of a PNG.

    They do not affect the pixels, and Pillow rejects a picture whose text or profile expands too far.
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
    """Raises Implausible for a JPEG with too many scans: each processes all pixels, however few bytes it has."""
    if content.count(b"\xff" + _SCAN) <= MAX_SCANS:
        return  # an upper bound; parsing the markers is exact but 50 times as slow
    scans, place = 0, 2
    while (mark := _MARK.search(content, place)) and mark[1] != _END and scans <= MAX_SCANS:
        scans += mark[1] == _SCAN
        # Every marker is followed by its segment's length; compressed data follow the segment of a scan.
        place = mark.end() + int.from_bytes(content[mark.end() : mark.end() + 2])
    if scans > MAX_SCANS:
        raise Implausible(f"it has more than {MAX_SCANS} scans")


def check_size(width: int, height: int) -> None:
    """Raises Implausible for a size that would not fit into memory, before or after scaling."""
    if not (width > 0 and height > 0):
        raise Implausible(f"a picture of {width}x{height} pixels")
    if width * height > MAX_PIXELS:
        raise Implausible(f"it has {width}x{height} pixels; at most {MAX_PIXELS:,} are read")
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise Implausible(f"it is {width}x{height} pixels; at most {MAX_ASPECT_RATIO} times as long as wide is read")

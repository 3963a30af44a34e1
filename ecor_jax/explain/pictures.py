"""Pictures as files beside the page: small, upright, and without the metadata of the original."""

from pathlib import Path

from PIL import Image, ImageOps

TINY = 128
"""Up to this side in pixels a picture is kept exactly (PNG); a larger one becomes a JPEG."""
LARGEST_FILE = 640
LARGEST_SHOWN = 320
SMALLEST_SHOWN = 192


def load_picture(image: Image.Image) -> Image.Image:
    """The picture in RGB, turned upright, its longer side at most 640 pixels."""
    upright = ImageOps.exif_transpose(image).convert("RGB")
    upright.info = {}  # A photo may say where it was taken, and by whom.
    upright.thumbnail((LARGEST_FILE, LARGEST_FILE), Image.Resampling.LANCZOS)
    return upright


def save_picture(picture: Image.Image, folder: Path, stem: str) -> str:
    """Writes the picture into the folder and returns the name of its file."""
    if max(picture.size) <= TINY:
        name = f"{stem}.png"
        picture.save(folder / name, optimize=True)
    else:
        name = f"{stem}.jpg"
        picture.save(folder / name, quality=88)
    return name


def shown_size(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height in CSS pixels: tiny pictures are enlarged, large ones reduced."""
    longer = max(size)
    target = min(max(longer, SMALLEST_SHOWN), LARGEST_SHOWN)
    width, height = (max(1, round(side * target / longer)) for side in size)
    return width, height

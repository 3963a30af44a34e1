"""From a record to the arrays of one example; and a whole set of images decoded into memory."""

import os
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, get_args

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from ecor_jax.data import dicom
from ecor_jax.data.records import BadImage, InMemory, Record, Source
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.untrusted.pictures import open_picture

Example = dict[str, np.ndarray]
Preprocess = Callable[[Image.Image], np.ndarray]
OnBadImage = Literal["error", "skip"]
Augment = Literal["none", "flip", "crop_flip"]

SKIP_OPTION = "--config.data.on_bad_image=skip"
MEMORY_LIMIT = 2 << 30  # bytes of decoded images that `checked` keeps

# What PIL and its decoders raise on bytes that are no image, are cut off or ask for too much memory.
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    NotImplementedError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


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
        return image.convert("RGB")
    except UnidentifiedImageError as error:
        raise BadImage(f"{name} is not an image that can be decoded ({len(content)} bytes)") from error
    except _DECODE_ERRORS as error:
        raise BadImage(f"{name} cannot be decoded: {error}") from error


def _shallow(image: Image.Image) -> Image.Image:
    levels = np.asarray(image)
    low, high = float(levels.min()), float(levels.max())
    if not np.isfinite(high - low):
        raise ValueError("grey levels that are not finite")
    scale, shallow = 255 / (high - low) if high > low else 0.0, np.empty(levels.shape, np.uint8)
    # Row by row: the largest pictures do not fit into memory four times over.
    for row, line in enumerate(levels):
        shallow[row] = np.rint((line.astype(np.float64) - low) * scale)
    return Image.fromarray(shallow)


def picture_of(record: Record) -> Image.Image:
    """The picture of a record; BadImage as of `decode_image`."""
    image = record["image"]
    return Image.fromarray(image) if isinstance(image, np.ndarray) else decode_image(image, record["name"])


class ImageEncode:
    """The pixels of a record, uint8 [size, size, 3].

    An image that comes decoded is taken as preprocessed already. Augmentation, drawn anew at each call:
    "flip" mirrors half of the images; "crop_flip" first cuts out a part of 0.5 to 1 of the area, in the shape
    of the whole. Calls raise BadImage for an image that cannot be decoded.
    """

    def __init__(self, preprocess: Preprocess, augment: Augment = "none"):
        if augment not in get_args(Augment):
            raise UserError(f"augment is {augment!r}; expected one of {', '.join(get_args(Augment))}")
        self._preprocess = preprocess
        self._augment = augment

    def __call__(self, record: Record, rng: np.random.Generator) -> np.ndarray:
        image = record["image"]
        if isinstance(image, np.ndarray):
            pixels = _resized_crop(image, rng) if self._augment == "crop_flip" else image
        else:
            picture = decode_image(image, record["name"])
            pixels = self._preprocess(_crop(picture, rng) if self._augment == "crop_flip" else picture)
        if self._augment != "none" and rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        return pixels


class Encode:
    """A record as {"image": uint8 [size, size, 3], "category": int32 [], "rationales": bool [R]}.

    The image is as of `ImageEncode`; the gold rationales are the record's own, or else all of its class.
    Calls also raise UserError for a class or rationales that the vocabulary does not have.
    """

    def __init__(self, vocabulary: Vocabulary, preprocess: Preprocess, augment: Augment = "none"):
        self._gold, self._left_out = vocabulary.gold, vocabulary.left_out
        self._class_ids = {name: row for row, name in enumerate(vocabulary.classes)}
        self._rationale_ids = {text: column for column, text in enumerate(vocabulary.rationales)}
        self._image = ImageEncode(preprocess, augment)

    def __call__(self, record: Record, rng: np.random.Generator) -> Example:
        category = self._class_ids.get(record["category"])
        if category is None:
            raise UserError(f"{record['name']}: class {record['category']!r} is not in the rationale file")
        return {
            "image": self._image(record, rng),
            "category": np.asarray(category, np.int32),
            "rationales": self._gold_row(record, category),
        }

    def _gold_row(self, record: Record, category: int) -> np.ndarray:
        if not record["rationales"]:
            return self._gold[category]
        named = [text for text in record["rationales"] if text not in self._left_out]
        if not named:
            raise BadImage(f"{record['name']} shows only rationales that are left out: {record['rationales'][0]!r}")
        if unknown := [text for text in named if text not in self._rationale_ids]:
            raise UserError(
                f"{record['name']}: rationales that the rationale file does not have: {', '.join(map(repr, unknown))}"
            )
        row = np.zeros(len(self._rationale_ids), bool)
        row[[self._rationale_ids[text] for text in named]] = True
        return row


def _crop(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A part of the picture, in its shape, anywhere, of 0.5 to 1 of its area."""
    side = rng.uniform(0.5, 1) ** 0.5
    width, height = max(1, round(picture.width * side)), max(1, round(picture.height * side))
    left, upper = rng.integers(picture.width - width + 1), rng.integers(picture.height - height + 1)
    return picture.crop((int(left), int(upper), int(left) + width, int(upper) + height))


def _resized_crop(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = (pixels.shape[1], pixels.shape[0])
    return np.asarray(_crop(Image.fromarray(pixels), rng).resize(size, Image.Resampling.BICUBIC))


def checked(
    source: Source, preprocess: Preprocess, on_bad_image: OnBadImage = "error", progress: bool = True
) -> tuple[Source, tuple[str, ...]]:
    """All images decoded and preprocessed into memory, and a message for each one left out.

    A set over 2 GiB once decoded is returned as it is: its bad images turn up in the pipeline. Decoded images
    of `source` are taken as preprocessed where they have the size.

    Raises:
        UserError: some images are unreadable (all are counted, ten named), unless `on_bad_image` is "skip"
            and there are others; or `on_bad_image` is neither.
    """
    if on_bad_image not in get_args(OnBadImage):
        raise UserError(f"data.on_bad_image is {on_bad_image!r}; expected one of {', '.join(get_args(OnBadImage))}")
    shape = preprocess(Image.new("RGB", (8, 8))).shape
    if len(source) * int(np.prod(shape)) > MEMORY_LIMIT:
        return source, ()
    images = np.empty((len(source), *shape), np.uint8)

    def load(index: int) -> Record | BadImage:
        try:
            record = source[index]
            content = record["image"]
            if isinstance(content, bytes):
                content = preprocess(decode_image(content, record["name"]))
            elif content.shape != shape:
                content = preprocess(Image.fromarray(content))
            images[index] = content
            return {**record, "image": b""}
        except BadImage as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        loads = pool.map(load, range(len(source)))
        records = list(tqdm(loads, "reading images", len(source), disable=not progress, unit="image"))
    good = [(row, record) for row, record in enumerate(records) if not isinstance(record, BadImage)]
    bad = [record for record in records if isinstance(record, BadImage)]
    raise_bad_images(bad, len(source), source.origin, on_bad_image)
    loaded = InMemory(
        images[[row for row, _ in good]] if bad else images,
        categories=tuple(record["category"] for _, record in good),
        rationales=tuple(record["rationales"] for _, record in good),
        names=tuple(record["name"] for _, record in good),
        origin=source.origin,
    )
    return loaded, tuple(map(str, bad))


def raise_bad_images(
    bad: list[BadImage], count: int, origin: str, on_bad_image: OnBadImage, option: str = SKIP_OPTION
) -> None:
    """UserError about the unreadable ones of `count` images, unless they may be skipped and leave others."""
    if bad and (on_bad_image == "error" or len(bad) == count):
        named = "; ".join(map(str, bad[:10])) + (f"; and {len(bad) - 10} more" if len(bad) > 10 else "")
        hint = "" if len(bad) == count else f" ({option} leaves them out)"
        raise UserError(f"{len(bad)} of {count} images in {origin} cannot be read: {named}{hint}")

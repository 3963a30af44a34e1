"""Encoders from a record to the arrays of one example: preprocessed and augmented pixels, and encoded labels."""

import functools
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from ecor_jax.data.augment import MIRRORED, ON_ORIGINALS, Augment
from ecor_jax.data.captions import Captions
from ecor_jax.data.decode import picture_of
from ecor_jax.data.joined import Joined
from ecor_jax.data.records import BadImage, Example, Labels, Preprocessed, Record
from ecor_jax.data.vocabulary import Vocabulary, normalise_name
from ecor_jax.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Preprocess = Callable[[Image.Image], np.ndarray]
EncodeLabels = Callable[[Labels, np.random.Generator], Example]


class Encode:
    """An encoder from a record to {"image": uint8 [size, size, 3]} and the arrays that `labels` returns.

    labels: encodes the labels; it uses the random generator before the augmentations do. None adds no arrays.
    augment: changes the original image (`augment.ON_ORIGINALS`), the preprocessed one (`augment.MIRRORED`), or both;
      "none" changes neither.
    expected_size: the side length of the original in pixels; 0 accepts any size.

    Calls raise BadImage if an image cannot be decoded or has another size, and the errors of `labels`.
    """

    def __init__(
        self,
        preprocess: Preprocess,
        labels: EncodeLabels | None = None,
        augment: Augment = "none",
        expected_size: int = 0,
    ):
        self._preprocess, self._labels, self._augment, self._size = preprocess, labels, augment, expected_size

    def __call__(self, record: Record | Preprocessed, rng: np.random.Generator) -> Example:
        labels = {} if self._labels is None else self._labels(record, rng)
        pixels = self._pixels(record, rng)
        if self._augment in MIRRORED and rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        return {"image": pixels, **labels}

    def _pixels(self, record: Record | Preprocessed, rng: np.random.Generator) -> np.ndarray:
        if "pixels" in record:
            assert self._augment not in ON_ORIGINALS and not self._size, "needs the original picture"
            return record["pixels"]
        picture = picture_of(record)
        if self._size and picture.size != (self._size, self._size):
            size = f"{picture.width}x{picture.height}"
            raise BadImage(f"{record['name']} is {size} pixels; expected {self._size}x{self._size}")
        if self._augment in ON_ORIGINALS:
            picture = ON_ORIGINALS[self._augment](picture, rng)
        return self._preprocess(picture)


class GoldLabels:
    """A label encoder to {"category": int32 [], "rationales": bool [R]}: gold rationales of the record, or the class's.

    joined: sets of rationales; if given, "rationales" marks these sets, not the single rationales of `vocabulary`.
    Calls raise UserError if the vocabulary lacks the class or a rationale, and BadImage if all rationales of an image
    are left out.
    """

    def __init__(self, vocabulary: Vocabulary, joined: Joined | None = None):
        self._gold, self._left_out, self._joined = vocabulary.gold, vocabulary.left_out, joined
        self._class_ids = {name: row for row, name in enumerate(vocabulary.classes)}
        self._rationale_ids = {text: column for column, text in enumerate(vocabulary.rationales)}

    def __call__(self, record: Labels, rng: np.random.Generator) -> Example:
        category = self._class_ids.get(record["category"])
        if category is None:
            raise UserError(f"{record['name']}: class {record['category']!r} is not in the rationale file")
        gold = self._gold_rationales(record, category)
        shown = self._joined.gold_sets(gold) if self._joined else gold
        return {"category": np.asarray(category, np.int32), "rationales": shown}

    def _gold_rationales(self, record: Labels, category: int) -> np.ndarray:
        if not record["rationales"]:
            return self._gold[category]
        named = [text for text in record["rationales"] if text not in self._left_out]
        if not named:
            raise BadImage(f"{record['name']} shows only rationales that are left out: {record['rationales'][0]!r}")
        if unknown := [text for text in named if text not in self._rationale_ids]:
            raise UserError(
                f"{record['name']}: rationales that the rationale file does not have: {', '.join(map(repr, unknown))}"
            )
        gold = np.zeros(len(self._rationale_ids), bool)
        gold[[self._rationale_ids[text] for text in named]] = True
        return gold


class IdentityLabels:
    """A label encoder to {"label": int32 []}, the index of the category in `identities`; calls may raise UserError."""

    def __init__(self, identities: Sequence[str]):
        self._label_of = {name: label for label, name in enumerate(identities)}

    def __call__(self, record: Labels, rng: np.random.Generator) -> Example:
        label = self._label_of.get(record["category"])
        if label is None:
            raise UserError(f"{record['name']}: {record['category']!r} is none of the {len(self._label_of)} identities")
        return {"label": np.asarray(label, np.int32)}


class CaptionLabels:
    """A label encoder to {"text": int32 [text_length], "group": int32 []}: a random caption and its group of positives.

    Captions longer than `text_length` tokens are truncated before EOT, as in CLIP's training.
    padded_to: the length of "text" for a text tower with padded texts (`TextConfig.padded`).
    positives: 'text' groups equal captions; 'category' groups images of one class (for class-level captions, each of
      which fits any image of the class).
    """

    def __init__(
        self,
        captions: Captions,
        tokenizer: "PreTrainedTokenizerBase",
        text_length: int,
        positives: Literal["text", "category"],
        padded_to: int | None = None,
    ):
        fill = 0 if padded_to is None else tokenizer.pad_token_id
        self._padding = np.full(padded_to or text_length, fill, np.int32)
        from ecor_jax.clip.tokenizer import ids_of  # importing transformers takes a second

        self._captions, self._ids_of = captions, functools.partial(ids_of, tokenizer)
        self._text_length, self._positives = text_length, positives

    def __call__(self, record: Labels, rng: np.random.Generator) -> Example:
        caption = self._captions(record, rng)
        (ids,) = self._ids_of([caption])
        text = self._padding.copy()
        if len(ids) > self._text_length:
            ids = [*ids[: self._text_length - 1], ids[-1]]
        text[: len(ids)] = ids
        same = normalise_name(caption if self._positives == "text" else record["category"])
        # A CRC is equal for equal texts in every process and run, unlike `hash`.
        return {"text": text, "group": np.asarray(zlib.crc32(same.encode()) >> 1, np.int32)}

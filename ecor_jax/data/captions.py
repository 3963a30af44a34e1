"""Captions for contrastive pretraining: listed in a file, or composed from class names and descriptors."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ecor_jax.data import procedural
from ecor_jax.data.procedural.questions import PROMPTS, question_of, question_vocabulary
from ecor_jax.data.records import Labels, Source
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError
from ecor_jax.untrusted.json_text import read_object

# The templates include the forms of the rationale prompts, because a small text tower only knows texts like those that
# it has seen.
NAME_TEMPLATES = ("a photo of a {name}", "this is a photo of a {name}", "{name}")
DESCRIPTOR_TEMPLATES = (
    "a photo of a {name}, {descriptor}",
    "{name} with {descriptor}",
    "this is a photo of a {name} because there is {descriptor}",
    "there is {descriptor}",
    "{descriptor}",
)
_DRAWING_TEMPLATES = (
    ("this is a photo of a {c}", "a drawing of a {c}", "a {c}", "here is a picture of a {c}"),
    ("there is {r}", "a picture showing {r}", "something with {r}", "look, it has {r}"),
    (
        "this is a photo of a {c} because there is {r}",
        "a drawing of a {c} with {r}",
        "a {c} that has {r}",
        "here is a {c}, you can see {r}",
    ),
)


class Captions(Protocol):
    """A source of captions for images."""

    def __call__(self, record: Labels, rng: np.random.Generator) -> str:
        """Returns one caption of this record, drawn with `rng`."""
        ...

    def corpus(self) -> Iterator[str]:
        """Yields texts that contain every word; the tokenizer is trained on them."""
        ...


class ListedCaptions(Captions):
    """Captions from a JSON file whose keys are class names, or names of images within the source.

    A value is a list of complete captions, or `{"name": str, "descriptors": [str, ...]}`, whose fields fill
    NAME_TEMPLATES (for one caption in four, and if there are no descriptors) or DESCRIPTOR_TEMPLATES.

    path: the file; empty for none. descriptors: JSON files {class: [descriptor, ...]}, such as those of Menon and
    Vondrick (2023). If there are some, a class of `source` without captions is given its name and its descriptors.
    """

    def __init__(self, source: Source, path: str | Path, descriptors: Sequence[str | Path] = ()):
        self.path = path or ", ".join(map(str, descriptors))
        entries = read_object(Path(path)) if path else {}
        if path and not entries:
            raise UserError(f"{path}: holds no captions")
        if bad := [key for key, entry in entries.items() if not _well_formed(entry)]:
            raise UserError(
                f"{path}: {len(bad)} entries are neither a list of captions nor "
                f'{{"name": ..., "descriptors": [...]}}: {", ".join(bad[:5])}'
            )
        self._entries: Mapping[str, list[str] | dict] = entries
        by_class = {normalise_name(key): entry for key, entry in entries.items()}
        if descriptors:
            known = _descriptors(descriptors)
            by_class |= {
                name: {"name": name, "descriptors": known.get(name, [])}
                for name in source.classes
                if name not in by_class
            }
        self._by_class = by_class
        missing = [name for name in source.classes if name not in by_class]
        if missing and not any(Path(key).suffix for key in entries):
            raise UserError(f"{path}: no captions for {len(missing)} image classes: {', '.join(missing[:10])}")

    def __call__(self, record: Labels, rng: np.random.Generator) -> str:
        name, category = record["name"], record["category"]
        entry = self._entries.get(name) or self._by_class.get(category)
        if not entry:
            raise UserError(f"{self.path}: no caption for {name}, nor for its class {category!r}")
        if isinstance(entry, list):
            return entry[rng.integers(len(entry))]
        if not entry["descriptors"] or rng.random() < 0.25:
            return NAME_TEMPLATES[rng.integers(len(NAME_TEMPLATES))].format(name=entry["name"])
        descriptor = entry["descriptors"][rng.integers(len(entry["descriptors"]))]
        template = DESCRIPTOR_TEMPLATES[rng.integers(len(DESCRIPTOR_TEMPLATES))]
        return template.format(name=entry["name"], descriptor=descriptor)

    def corpus(self) -> Iterator[str]:
        in_file = {normalise_name(key) for key in self._entries}
        added = (entry for name, entry in self._by_class.items() if name not in in_file)
        for entry in (*self._entries.values(), *added):
            if isinstance(entry, list):
                yield from entry
                continue
            for template in NAME_TEMPLATES:
                yield template.format(name=entry["name"])
            for descriptor in entry["descriptors"]:
                for template in DESCRIPTOR_TEMPLATES:
                    yield template.format(name=entry["name"], descriptor=descriptor)


def _descriptors(paths: Sequence[str | Path]) -> dict[str, list[str]]:
    """Reads files {class: [descriptor, ...]}; the first file that has a class counts."""
    found: dict[str, list[str]] = {}
    for path in paths:
        own = read_object(Path(path))
        if bad := [key for key, entry in own.items() if isinstance(entry, dict) or not _well_formed(entry)]:
            raise UserError(f"{path}: {len(bad)} entries are no lists of descriptors: {', '.join(bad[:5])}")
        found = {normalise_name(key): entry for key, entry in own.items()} | found
    return found


class QuestionCaptions(Captions):
    """Captions of `procedural.questions.Questions`: an answer, what supports it, or both, in the question's prompts.

    Half of the captions have the answer alone, because those with an object can be told apart by the object. Half of
    all end in a full stop.
    """

    def __call__(self, record: Labels, rng: np.random.Generator) -> str:
        prompts = PROMPTS[question_of(record["name"])]
        template = prompts[int(rng.choice(3, p=(0.5, 0.2, 0.3)))] + str(rng.choice(["", "."]))
        return template.format(c=record["category"], r=rng.choice(record["rationales"]))

    def corpus(self) -> Iterator[str]:
        for question, prompts in PROMPTS.items():
            words = question_vocabulary(question)
            for row, answer in enumerate(words.classes):
                for support in words.rationales_of(row):
                    yield from (f"{template.format(c=answer, r=support)}." for template in prompts)


def _well_formed(entry: object) -> bool:
    def texts(value: object) -> bool:
        return isinstance(value, list) and all(isinstance(text, str) and text.strip() for text in value)

    if isinstance(entry, dict):
        name = entry.get("name")
        return isinstance(name, str) and bool(name.strip()) and texts(entry.get("descriptors"))
    return texts(entry) and bool(entry)


class ProceduralCaptions(Captions):
    """Captions of the built-in drawings (`procedural`), composed from an image's class and the rationales drawn in it.

    Two captions in ten name the class, four name one to three rationales in random order, joined by " and ", and four
    name both; half of the captions end in a full stop. The captions of a record without rationales name its class.
    """

    def __call__(self, record: Labels, rng: np.random.Generator) -> str:
        shown = record["rationales"]
        templates = _DRAWING_TEMPLATES[int(rng.choice(3, p=(0.2, 0.4, 0.4))) if shown else 0]
        template = templates[int(rng.integers(len(templates)))] + str(rng.choice(["", "."]))
        chosen = rng.permutation(len(shown))[: int(rng.integers(1, 4))]
        return template.format(c=record["category"], r=" and ".join(shown[k] for k in chosen))

    def corpus(self) -> Iterator[str]:
        rng, words = np.random.default_rng(0), procedural.vocabulary()
        for row, category in enumerate(words.classes):
            shown = Labels(category=category, rationales=words.rationales_of(row), name="")
            for _ in range(200):
                yield self(shown, rng)

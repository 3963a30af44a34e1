"""`Vocabulary`: the classes, their rationales, and the pairs of them that are gold; read from a rationale file."""

import itertools
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ecor_jax.data.concept_sets import read_concepts
from ecor_jax.errors import UserError, error_prefix, some_of
from ecor_jax.untrusted.json_text import JsonObject, kind_of, parse_json

MAX_PAIRS = 10**8
"""Maximum number of (class, rationale) pairs, each of which is a prompt to encode; ImageNet has 4.2 million."""


def normalise_name(name: str, slash: str = " or ") -> str:
    """Lower-cases, replaces `_` and `-` by spaces and `/` by `slash`, collapses white space, composes accents (NFC).

    Class names and rationales are normalised alike, as in the released code of DROR (arXiv 2212.06202), which uses
    `slash=" "` for the classes of SUN397 and ImageNet. The function is idempotent.
    """
    spaced = name.replace("_", " ").replace("-", " ").replace("/", slash)
    # macOS decomposes the accents of file names, and `lower` those of some letters.
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", spaced).lower()).split())


def distinct_names(names: Iterable[str], where: str) -> dict[str, str]:
    """Returns {name: normalised name} for classes or people, which must stay distinct.

    Raises UserError, naming `where`, if two names are equal after normalisation or a name becomes empty.
    """
    normalised: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for name in dict.fromkeys(names):
        normalised[name] = key = normalise_name(name)
        if not key:
            raise UserError(f"{where}: {name!r} is no name; nothing of it is left once normalised")
        if spelled.setdefault(key, name) != name:
            both = f"{spelled[key]!r} and {name!r}"
            raise UserError(f"{where}: {both} are the same, {key!r}, once normalised; rename one of them")
    return normalised


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """C classes, R rationales, and the gold pairs between them."""

    classes: tuple[str, ...]
    """C normalised names, in the order of the file."""
    rationales: tuple[str, ...]
    """R distinct normalised texts, in the order of first appearance."""
    gold: np.ndarray
    """bool [C, R]: the rationale explains the class. The relation is many-to-many; a row may be empty."""
    left_out: frozenset[str] = frozenset()
    """Rationales of the file that are not candidates; images may still name them."""

    @classmethod
    def from_lists(cls, lists: Mapping[str, Iterable[str]]) -> "Vocabulary":
        """Builds a vocabulary from `{class: [rationale, ...]}`, already normalised; ignores repetitions in a class."""
        texts = dict.fromkeys(itertools.chain.from_iterable(lists.values()))
        columns = {text: column for column, text in enumerate(texts)}
        if len(lists) * len(columns) > MAX_PAIRS:
            raise UserError(
                f"{len(lists):,} classes and {len(columns):,} rationales make more than {MAX_PAIRS:,} pairs"
            )
        gold = np.zeros((len(lists), len(columns)), bool)
        for row, rationales in enumerate(lists.values()):
            gold[row, [columns[rationale] for rationale in rationales]] = True
        return cls(tuple(lists), tuple(columns), gold)

    @classmethod
    def from_file(cls, path: str | Path, slash: str = " or ") -> "Vocabulary":
        """Reads a file `{class: [rationale, ...]}`, as published by DROR, or a CSV (`concept_sets`).

        A rationale may also be an object `{part: [attribute, ...]}`, as in DROR's second level, whose prompt
        is `... because the {part} has {attribute}`: each attribute gives the text
        `{part} that has {attribute}`, and a part without attributes gives `{part}`. `slash` replaces `/` in class
        names; in rationales `/` always becomes " or ". If folders are not named after the classes (`n01443537`), a
        class may be `folder: {"name": ..., "rationales": [...]}`; see `folder_names`.

        Raises UserError naming the problems of the file (up to 20) at once.
        """
        lists = _checked_lists(_read_object(Path(path)), f"rationale file {path}", slash)
        with error_prefix(f"rationale file {path}"):
            return cls.from_lists(lists)

    @classmethod
    def read(cls, rationales: "str | Path | Mapping[str, Sequence[str]]") -> "Vocabulary":
        """Reads a file with `from_file`, or takes the content of such a file as plain values."""
        if not isinstance(rationales, Mapping):
            return cls.from_file(rationales)
        where = "the rationales"
        content = parse_json(json.dumps(dict(rationales)).encode(), where, pairs=JsonObject)
        return cls.from_lists(_checked_lists(content, where, " or "))

    def without(self, rationales: Iterable[str]) -> "Vocabulary":
        """Returns the same classes without some of the rationales, which are added to `left_out`."""
        left_out = frozenset(rationales)
        kept = [column for column, text in enumerate(self.rationales) if text not in left_out]
        texts = tuple(self.rationales[column] for column in kept)
        return Vocabulary(self.classes, texts, self.gold[:, kept], self.left_out | left_out)

    def with_classes(self, others: Iterable["Vocabulary"], pairs: int, seed: int) -> "Vocabulary":
        """Adds classes of other vocabularies, with their rationales, until there are at least so many pairs.

        Those are taken in a random order; of classes of the same name the first one counts. Raises UserError
        if all of them make fewer pairs.
        """
        lists = {name: self.rationales_of(row) for row, name in enumerate(self.classes)}
        more = [
            (name, other.rationales_of(row))
            for other in others
            for row, name in enumerate(other.classes)
            if name not in lists
        ]
        texts = dict.fromkeys(self.rationales)
        for number in np.random.default_rng(seed).permutation(len(more)).tolist():
            if len(lists) * len(texts) >= pairs:
                break
            name, rationales = more[number]
            if name not in lists:
                lists[name] = rationales
                texts |= dict.fromkeys(rationales)
        if len(lists) * len(texts) < pairs:
            raise UserError(
                f"data.pairs is {pairs:,}; {len(lists):,} classes and {len(texts):,} rationales, with all of "
                f"data.distractors, make {len(lists) * len(texts):,}"
            )
        return Vocabulary.from_lists(lists)

    def to_json(self) -> str:
        """Returns the text of a file that `from_file` reads back as the same classes and gold pairs."""
        lists = {name: self.rationales_of(row) for row, name in enumerate(self.classes)}
        return json.dumps(lists, ensure_ascii=False, indent=1) + "\n"

    def rationales_of(self, class_index: int) -> tuple[str, ...]:
        """Returns the gold rationales of a class, in the order of `rationales`."""
        return tuple(self.rationales[column] for column in np.flatnonzero(self.gold[class_index]))

    def empty_classes(self) -> tuple[str, ...]:
        """Returns the classes without rationales."""
        return tuple(name for name, row in zip(self.classes, self.gold, strict=True) if not row.any())

    def shared(self) -> tuple[str, ...]:
        """Returns the rationales that explain at least two classes."""
        return tuple(self.rationales[column] for column in np.flatnonzero(self.gold.sum(axis=0) > 1))

    def leakage(self) -> tuple[tuple[str, str], ...]:
        """Returns the gold pairs (class, rationale) whose rationale contains the class name and so reveals it.

        Any occurrence counts, also within a longer word. This finds plurals and compounds ('wings' for 'wing'), at the
        price of a few accidental matches ('antennae' for 'ant').
        """
        return tuple(
            (name, rationale)
            for row, name in enumerate(self.classes)
            for rationale in self.rationales_of(row)
            if name in rationale
        )

    def describe(self) -> str:
        """Returns one paragraph with the sizes of the vocabulary and its potential problems."""
        empty = self.empty_classes()
        return (
            f"{len(self.classes)} classes, {len(self.rationales)} rationales, {int(self.gold.sum())} gold pairs; "
            f"{len(self.shared())} rationales belong to two classes or more; "
            f"{len(self.leakage())} rationales contain the name of their class; "
            f"{len(empty)} classes have no rationale{f' ({_quoted(empty)})' if empty else ''}."
        )


@dataclass(frozen=True)
class Match:
    """The differences between the classes of the images and of the vocabulary."""

    left_out: tuple[str, ...]
    """Classes of images without rationales in the vocabulary; their images cannot be evaluated."""
    without_images: tuple[str, ...]
    """Classes of the vocabulary without images; they remain candidates."""

    def describe(self) -> str:
        """Returns one line for the log; '' if nothing differs."""
        kinds = {
            "image classes left out, no rationales": self.left_out,
            "classes of the vocabulary have no image": self.without_images,
        }
        return "; ".join(f"{len(names)} {kind}: {', '.join(names)}" for kind, names in kinds.items() if names)


def match(
    vocabulary: Vocabulary, source_classes: Sequence[str], on_missing: Literal["error", "allow"] = "error"
) -> Match:
    """Compares the classes of images (normalised names) with those of the vocabulary.

    Raises UserError listing every difference by kind, unless `on_missing` is "allow"; and in any case if no image class
    has a rationale.
    """
    known, empty, present = set(vocabulary.classes), set(vocabulary.empty_classes()), set(source_classes)
    without_images = tuple(name for name in vocabulary.classes if name not in present)
    left_out = tuple(name for name in source_classes if name not in known or name in empty)
    if len(left_out) == len(source_classes):
        raise UserError(
            f"no class of the images has rationales: images of {_quoted(source_classes)}; "
            f"rationales for {_quoted(vocabulary.classes)}{_wnid_hint(source_classes)}"
        )
    kinds = {
        "image classes that are not in the rationale file": [name for name in left_out if name not in known],
        "image classes with an empty list of rationales": [name for name in left_out if name in known],
        "classes of the rationale file with no image": without_images,
    }
    problems = [f"{len(names)} {kind}: {', '.join(names)}" for kind, names in kinds.items() if names]
    if problems and on_missing == "error":
        raise UserError(
            "; ".join(problems) + " (--config.data.on_missing=allow leaves images without rationales out "
            "and keeps classes without images as candidates)"
        )
    return Match(left_out, without_images)


def _wnid_hint(names: Sequence[str]) -> str:
    """Returns advice for folders named after WordNet ids, as ImageNet's are; '' for other names."""
    if not any(re.fullmatch(r"n\d{8}", name) for name in names):
        return ""
    form = '{"n01440764": {"name": ..., "rationales": [...]}}'
    return f"; for folders named as ImageNet's, the rationale file says {form}"


def _checked_lists(content: JsonObject, where: str, slash: str) -> dict[str, list[str]]:
    """Returns the content of a file as {normalised class: [normalised rationale, ...]}."""
    problems: list[str] = []
    lists: dict[str, list[str]] = {}
    spelled: dict[str, str] = {}
    keys: dict[str, str] = {}
    for key, entry in content:
        raw_name, value = _named(key, entry)
        name = normalise_name(raw_name, slash)
        if not name:
            problems.append(f"class {raw_name!r} has an empty name")
        elif not isinstance(value, list) or isinstance(value, JsonObject):
            problems.append(f"class {raw_name!r}: expected a list of rationales, found {kind_of(value)}")
        elif keys.setdefault(name, key) != key and (key, keys[name]) != (raw_name, spelled[name]):
            problems.append(
                f"the folders {keys[name]!r} and {key!r} have one class name, {raw_name!r}; tell them apart"
            )
        elif spelled.setdefault(name, raw_name) != raw_name:
            problems.append(f"classes {spelled[name]!r} and {raw_name!r} are the same, {name!r}, once normalised")
        elif lists.get(name) and value:
            problems.append(f"class {raw_name!r} is given twice")
        else:
            # DROR's ImageNet file gives 'coyote' twice, first with an empty list, which is accepted.
            own = f"class {raw_name!r}"
            lists.setdefault(name, []).extend(text for item in value for text in _texts(item, own, problems))
    if not content:
        problems.append("it has no class")
    elif not problems and not any(lists.values()):
        problems.append("no class has a rationale")
    if problems:
        more = f"; and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise UserError(f"{where}: {'; '.join(problems[:20])}{more}")
    return lists


def folder_names(path: str | Path, slash: str = " or ") -> dict[str, str]:
    """Returns {folder: class name}, normalised, for the classes of a rationale file that differ from their folders."""
    return {
        normalise_name(folder): normalise_name(_named(folder, value)[0], slash)
        for folder, value in _read_object(Path(path))
        if isinstance(value, JsonObject)
    }


def _named(folder: str, value: Any) -> tuple[str, Any]:
    """Returns (name, rationales) of an entry `name: rationales` or `folder: {"name": ..., "rationales": ...}`."""
    if isinstance(value, JsonObject):
        fields = dict(value)
        if len(fields) == len(value) and isinstance(fields.get("name"), str) and "rationales" in fields:
            return fields["name"], fields["rationales"]
    return folder, value


def _texts(item: Any, where: str, problems: list[str]) -> Iterator[str]:
    """Yields the normalised rationales of an item of a class's list; appends errors to `problems`."""
    if not isinstance(item, JsonObject):
        yield from _text(item, where, problems)
        return
    for part, attributes in item:
        if not isinstance(attributes, list) or isinstance(attributes, JsonObject):
            problems.append(f"{where}, part {part!r}: expected a list of attributes, found {kind_of(attributes)}")
            continue
        for name in _text(part, where, problems):
            texts = [text for attribute in attributes for text in _text(attribute, where, problems)]
            yield from [f"{name} that has {text}" for text in texts] or [name]


def _text(item: Any, where: str, problems: list[str]) -> Iterator[str]:
    if not isinstance(item, str):
        problems.append(f"{where}: expected a rationale in words, found {kind_of(item)}")
    elif not (text := normalise_name(item)):
        problems.append(f"{where}: a rationale is empty ({item!r})")
    else:
        yield text


def _read_object(path: Path) -> JsonObject:
    content = read_concepts(path)
    if not isinstance(content, JsonObject):
        expected = "{class: [rationale, ...]}, as JSON or CSV"
        raise UserError(f"rationale file {path}: expected {expected}; found {len(content)} texts without classes")
    return content


def _quoted(names: Sequence[str]) -> str:
    return some_of([repr(name) for name in names]) or "no class"

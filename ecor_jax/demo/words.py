"""The vocabulary as a text that a user edits: one class a line, `class: rationale; rationale`."""

from collections.abc import Mapping, Sequence

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.tasks.explainer import Explainer
from ecor_jax.tasks.rationale.explain import RationaleExplainer

FORM = "class: rationale; rationale"
EXAMPLE = "cat: whiskers; a long tail\ndog: a wet nose; a long tail"
MAX_BYTES = 1 << 16
"""Maximum size of an edited text in UTF-8."""
MAX_PAIRS = 1 << 16
"""Maximum number of pairs of an edited vocabulary, each of which is a text to encode."""


def vocabulary_of_model(explainer: Explainer) -> Vocabulary | None:
    """Returns the classes and rationales that a model explains by unless others are given; None if it has none."""
    if not isinstance(explainer, RationaleExplainer):
        return None
    return Vocabulary.read(explainer.rationales) if explainer.rationales else explainer.loaded.vocabulary


def text_of(vocabulary: Vocabulary | None) -> str:
    """Returns the text of a vocabulary; '' without one, and if it is too large or has a separator in its names."""
    if vocabulary is None or any(":" in name for name in vocabulary.classes):
        return ""
    if any(";" in rationale for rationale in vocabulary.rationales):
        return ""
    lines = [f"{name}: {'; '.join(vocabulary.rationales_of(row))}" for row, name in enumerate(vocabulary.classes)]
    text = "\n".join(lines)
    return "" if _pairs(vocabulary) > MAX_PAIRS or len(text.encode()) > MAX_BYTES else text


def vocabulary_of(text: str) -> Mapping[str, Sequence[str]]:
    """Parses an edited text to {class: [rationale, ...]}.

    Raises UserError if it is empty, too large, has a line of another form, or is no vocabulary.
    """
    if (size := len(text.encode(errors="replace"))) > MAX_BYTES:
        raise UserError(f"the classes are {size:,} bytes of text; at most {MAX_BYTES:,} are read")
    lists: dict[str, list[str]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        name, colon, rationales = (part.strip() for part in line.partition(":"))
        if not colon or not name:
            raise UserError(f"line {number}, {line.strip()[:80]!r}: expected {FORM}")
        if name in lists:
            raise UserError(f"line {number}: the class {name!r} is given twice")
        lists[name] = [rationale.strip() for rationale in rationales.split(";") if rationale.strip()]
        if not lists[name]:
            raise UserError(f"line {number}: the class {name!r} has no rationale; expected {FORM}")
    if not lists:
        raise UserError(f"there is no class; expected one a line, {FORM}")
    rationales = {rationale for own in lists.values() for rationale in own}
    if (pairs := len(lists) * len(rationales)) > MAX_PAIRS:
        raise UserError(f"the classes and rationales make {pairs:,} pairs; at most {MAX_PAIRS:,} are read")
    Vocabulary.read(lists)  # raises UserError
    return lists


def _pairs(vocabulary: Vocabulary) -> int:
    return len(vocabulary.classes) * len(vocabulary.rationales)

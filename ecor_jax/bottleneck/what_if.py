"""Parses interventions on a bottleneck that a user requests as descriptors with values (--what_if)."""

import difflib
import math
from collections.abc import Mapping, Sequence

from ecor_jax.data.descriptors import Descriptors
from ecor_jax.errors import UserError


def names_of(descriptors: Descriptors) -> list[str]:
    """Returns the name of each descriptor: its phrase, or `GROUP: DESCRIPTOR` if several groups have the phrase."""
    groups = [descriptors.groups[group] for group in descriptors.group_of]
    return [
        phrase if descriptors.phrases.count(phrase) == 1 else f"{group}: {phrase}"
        for phrase, group in zip(descriptors.phrases, groups, strict=True)
    ]


def read_what_if(
    asked: Sequence[str] | Mapping[str, float],
    descriptors: Descriptors,
    least: float,
    most: float,
    form: str,
    option: str = "--what_if",
) -> dict[int, float]:
    """Returns {row of the descriptor: value}, with values from `least` to `most`.

    asked: {descriptor: value}, or texts `DESCRIPTOR=VALUE`, with the names of `names_of`.
    form, option: what errors call the values, and the option that they are given for.
    """
    names = names_of(descriptors)
    texts = [f"{name}={value}" for name, value in asked.items()] if isinstance(asked, Mapping) else asked
    values = {}
    for text in texts:
        phrase, _, value = text.rpartition("=")
        if phrase not in names:
            near = difflib.get_close_matches(phrase or text, names, n=3, cutoff=0)
            raise UserError(f"{option} {text!r}: the model has no such descriptor; the nearest: {', '.join(near)}")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            raise UserError(f"{option} {text!r}: expected {form} from {least} to {most}")
        concept = names.index(phrase)
        if concept in values:
            raise UserError(f"{option} {text!r}: the descriptor was given twice")
        values[concept] = number
    return values

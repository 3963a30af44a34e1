"""Interventions as a user asks for them: `DESCRIPTOR=VALUE`."""

import difflib
import math
from collections.abc import Sequence

from ecor_jax.data.descriptors import Descriptors
from ecor_jax.errors import UserError


def read_what_if(
    texts: Sequence[str], descriptors: Descriptors, least: float, most: float, form: str
) -> dict[int, float]:
    """Row of each descriptor asked for, and its value, from `least` to `most`; `form` is named in errors."""
    asked = {}
    for text in texts:
        phrase, _, value = text.rpartition("=")
        if phrase not in descriptors.phrases:
            near = difflib.get_close_matches(phrase or text, descriptors.phrases, n=3, cutoff=0)
            raise UserError(f"--what_if {text!r}: the model has no such descriptor; the nearest: {', '.join(near)}")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            raise UserError(f"--what_if {text!r}: expected {form} from {least} to {most}")
        concept = descriptors.phrases.index(phrase)
        if concept in asked:
            raise UserError(f"--what_if {text!r}: the descriptor was given twice")
        asked[concept] = number
    return asked

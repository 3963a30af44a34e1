"""Validates single fields of configurations of transformers, OpenCLIP and timm, for the readers of these formats."""

import dataclasses
import math
from typing import Any, get_args

from ecor_jax.clip.config import Activation
from ecor_jax.errors import UserError

MAX_LAYERS = 512
MAX_NUMBER = 1 << 20
"""Maximum of widths, heads, pixels and tokens: four times the largest known vocabulary."""


def whole_number(value: Any, name: str, most: int = MAX_NUMBER) -> int:
    """Returns `value` if it is an integer from 1 to `most`, else raises UserError that names the field `name`.

    Larger values would fail the shape check of the weights, but only after a model of that size was constructed.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise UserError(f"{name} is {shown(value)}; expected a whole number from 1 to {most:,}")
    return value


@dataclasses.dataclass(frozen=True)
class Section:
    """An object within a configuration; `name` is its path in error messages."""

    name: str
    values: dict[str, Any]

    def whole(self, field: str, default: int | None = None, most: int = MAX_NUMBER) -> int:
        """Returns an integer field, checked by `whole_number`; `default` if it is missing."""
        return whole_number(self.values.get(field, default), f"{self.name}.{field}", most)


def positive(value: Any, name: str) -> float:
    """Returns `value` as a float if it is a positive finite number, else raises UserError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise UserError(f"{name} is {shown(value)}; expected a positive number")
    return float(value)


def shown(value: Any) -> str:
    """Returns the repr of a value for an error message, truncated because a file may contain long values."""
    return repr(value)[:100]


def stated_activation(stated: Any, option: Activation | None, name: str) -> Activation:
    """Returns the activation a checkpoint states, else `option`. Raises UserError if both are missing or differ."""
    if stated is None:
        if option is None:
            raise UserError(
                f"{name} is missing; convert it with --activation=quick_gelu (what transformers assumes; "
                "OpenAI, DFN) or --activation=gelu (LAION, DataComp)"
            )
        return option
    if stated not in get_args(Activation):
        raise UserError(f"{name} is {shown(stated)}; expected one of {', '.join(get_args(Activation))}")
    if option not in (None, stated):
        raise UserError(f"{name} is {stated!r}, which --activation={option} contradicts")
    return stated


def tower_sizes(section: Section, default_width: int) -> dict[str, Any]:
    """Returns the width, layers and MLP width of a tower of OpenCLIP."""
    width = section.whole("width", default_width)
    ratio = positive(section.values.get("mlp_ratio", 4.0), f"{section.name}.mlp_ratio")
    return {
        "width": width,
        "layers": section.whole("layers", 12, MAX_LAYERS),
        "mlp_width": whole_number(int(min(width * ratio, 1e18)), f"{section.name}.width times mlp_ratio"),
    }


def text_sizes(text: Section) -> dict[str, Any]:
    """Returns all sizes of a text tower of OpenCLIP."""
    defaults = {"vocab_size": 49408, "context_length": 77, "heads": 8}
    return tower_sizes(text, 512) | {name: text.whole(name, default) for name, default in defaults.items()}


def only(fields: Any, free: set[str], fixed: dict[str, Any], section: str) -> None:
    """Raises UserError unless every field is in `fixed` with the value given there, or in `free`.

    The fields in `free` are read, or do not change the embeddings.
    """
    if not isinstance(fields, dict):
        raise UserError(f"{section} is {fields!r}; expected an object")
    for name, value in fields.items():
        if name not in free and (name not in fixed or fixed[name] != value):
            raise UserError(f"{section}.{name} is {shown(value)}: this kind of CLIP is not supported")


def colour(values: Any, name: str, *, above_zero: bool = False) -> tuple[float, ...]:
    """Returns `values` as three finite numbers (RGB), positive if `above_zero`, at most 1,000, for pixels in [0, 1]."""
    least = 1e-6 if above_zero else -1000.0
    numbers = isinstance(values, list) and all(isinstance(value, int | float) for value in values)
    if not numbers or len(values) != 3 or not all(least <= value <= 1000 for value in values):
        raise UserError(f"{name} is {shown(values)}; expected three {'positive ' if above_zero else ''}numbers")
    return tuple(float(value) for value in values)

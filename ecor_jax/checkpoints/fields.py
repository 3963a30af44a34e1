"""Checks on single fields of foreign configurations."""

from typing import Any, get_args

from ecor_jax.clip.config import Activation
from ecor_jax.errors import UserError


def whole_number(value: Any, name: str) -> int:
    """`value`, if it is a positive whole number; `name` says in the message where it stands."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{name} is {value!r}; expected a positive whole number")
    return value


def stated_activation(stated: Any, option: Activation | None, name: str) -> Activation:
    """The activation a checkpoint states, or the option's where it states none; never a guess."""
    if stated is None:
        if option is None:
            raise UserError(
                f"{name} is missing; convert it with --activation=quick_gelu (what transformers assumes; "
                "OpenAI, DFN) or --activation=gelu (LAION, DataComp)"
            )
        return option
    if stated not in get_args(Activation):
        raise UserError(f"{name} is {stated!r}; expected one of {', '.join(get_args(Activation))}")
    if option not in (None, stated):
        raise UserError(f"{name} is {stated!r}, which --activation={option} contradicts")
    return stated


def colour(values: Any, name: str, *, positive: bool = False) -> tuple[float, ...]:
    """`values` as one (positive) number for each of red, green and blue."""
    numbers = isinstance(values, list) and all(isinstance(value, int | float) for value in values)
    if not numbers or len(values) != 3 or (positive and min(values) <= 0):
        raise UserError(f"{name} is {values!r}; expected three {'positive ' if positive else ''}numbers")
    return tuple(float(value) for value in values)

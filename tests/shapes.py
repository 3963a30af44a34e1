"""The type checker of the tests: it checks the shapes and dtypes of arrays, and no other annotation."""

import typing
from collections.abc import Callable
from typing import Any

from beartype import beartype
from jaxtyping import AbstractArray


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Checks a function's annotations with arrays in them. All others count as Any: options are users' input, whose
    errors the code itself reports, and tests pass stand-ins for objects.
    """
    hints = dict(function.__annotations__)
    if not any(map(_has_shape, hints.values())):
        return function
    function.__annotations__ = {name: hint if _has_shape(hint) else Any for name, hint in hints.items()}
    return beartype(function)


def _has_shape(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(map(_has_shape, typing.get_args(hint)))

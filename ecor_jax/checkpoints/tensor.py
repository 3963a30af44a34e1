"""A tensor in a file, not read yet."""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Tensor:
    """Shape and type (NumPy's name for it) of a stored tensor, and how to read its values."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]

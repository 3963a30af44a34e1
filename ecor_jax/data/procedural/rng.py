"""A random generator whose choices do not depend on the version of NumPy."""

from typing import TypeVar

import numpy as np

_T = TypeVar("_T")


class Rng:
    """Random choices made of PCG64's uniform numbers, because NumPy may change how its own choices use the bits."""

    def __init__(self, *entropy: int):
        self._random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy))).random

    def between(self, low: float, high: float) -> float:
        """Returns a number in [low, high)."""
        return low + (high - low) * self._random()

    def below(self, stop: int) -> int:
        """Returns an integer in [0, stop)."""
        return int(self._random() * stop)

    def chance(self, probability: float) -> bool:
        """Returns True with this probability."""
        return self._random() < probability

    def pick(self, options: tuple[_T, ...]) -> _T:
        """Returns one of `options`."""
        return options[self.below(len(options))]

    def sample(self, options: tuple[_T, ...], count: int) -> list[_T]:
        """Returns `count` different ones of `options`, in random order."""
        left = list(options)
        return [left.pop(self.below(len(left))) for _ in range(count)]

"""Random choices that stay the same from one version of numpy to the next."""

from typing import TypeVar

import numpy as np

_T = TypeVar("_T")


class Dice:
    """Choices made of uniform numbers from PCG64: numpy may change how its own choices consume bits."""

    def __init__(self, *entropy: int):
        self._random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy))).random

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self._random()

    def below(self, stop: int) -> int:
        """A whole number in [0, stop)."""
        return int(self._random() * stop)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random() < probability

    def pick(self, options: tuple[_T, ...]) -> _T:
        """One of `options`."""
        return options[self.below(len(options))]

    def sample(self, options: tuple[_T, ...], count: int) -> list[_T]:
        """`count` different ones of `options`, in random order."""
        left = list(options)
        return [left.pop(self.below(len(left))) for _ in range(count)]

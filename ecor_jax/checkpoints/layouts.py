"""Building blocks of the tables that map other formats' tensors to our parameters: names, shapes, memory layouts."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor in a file: its shape, its dtype (NumPy's name) and a function that reads its values."""

    shape: Shape
    dtype: str
    read: Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Conversion between a tensor of another checkpoint format and the corresponding parameter.

    shape: maps our shape to the foreign shape. read: converts a foreign array to our layout. write: the inverse.
    `read` and `write` return views where NumPy can make one.
    """

    shape: Callable[[Shape], Shape]
    read: Callable[[np.ndarray], np.ndarray]
    write: Callable[[np.ndarray], np.ndarray]


def _convolution_shape(shape: Shape) -> Shape:
    patch = math.isqrt(shape[0] // 3)
    return shape[1], 3, patch, patch


SAME = Layout(lambda shape: shape, lambda x: x, lambda x: x)
# torch's linear layers store their weight as [outputs, inputs].
MATRIX = Layout(lambda shape: shape[::-1], lambda x: x.T, lambda x: x.T)
# A patch convolution [width, channel, row, column]; our kernel is a matrix [(row, column, channel), width].
PATCHES = Layout(
    _convolution_shape,
    lambda x: x.transpose(2, 3, 1, 0).reshape(-1, x.shape[0]),
    lambda x: x.reshape(*_convolution_shape(x.shape)[2:], 3, -1).transpose(3, 2, 0, 1),
)


def _fused(part: int, parts: int) -> Layout:
    """Layout of one of `parts` matrices [width, width], or biases, that are concatenated in a foreign tensor.

    `write` returns only this part.
    """
    return Layout(lambda shape: (parts * shape[-1], *shape[:-1]), lambda x: np.split(x, parts)[part].T, lambda x: x.T)


def with_axes(count: int) -> Layout:
    """Layout of a tensor with `count` leading axes of size 1 that our parameter does not have."""
    return Layout(
        lambda shape: (*(1,) * count, *shape),
        lambda x: x.reshape(x.shape[count:]),
        lambda x: x.reshape(*(1,) * count, *x.shape),
    )


@dataclasses.dataclass(frozen=True)
class Entry:
    """Maps the foreign tensor `name` to the parameter `path`.

    For parameters that are stacked over layers, `name` has a `{}` in place of the layer index.
    """

    name: str
    path: str
    layout: Layout = SAME


def linear(name: str, path: str) -> list[Entry]:
    """Returns the entries of a linear layer with bias."""
    return [Entry(f"{name}.weight", f"{path}.kernel", MATRIX), Entry(f"{name}.bias", f"{path}.bias")]


def joint(name: str, path: str, parts: Sequence[str] = ("query", "key", "value")) -> list[Entry]:
    """Returns the entries of an attention's linear layers `parts`, fused in the tensors `name`weight and `name`bias."""
    return [
        Entry(f"{name}{theirs}", f"{path}.{part}.{ours}", _fused(at, len(parts)))
        for at, part in enumerate(parts)
        for theirs, ours in (("weight", "kernel"), ("bias", "bias"))
    ]


def layer_norm(name: str, path: str) -> list[Entry]:
    """Returns the entries of a layer norm with scale and bias."""
    return [Entry(f"{name}.weight", f"{path}.scale"), Entry(f"{name}.bias", f"{path}.bias")]

"""Stored tensors: where each one of a foreign CLIP belongs in ours, and how it lies in memory there."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """Shape and type (NumPy's name for it) of a tensor in a file, and how to read its values."""

    shape: Shape
    dtype: str
    read: Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a foreign tensor relates to ours.

    shape: its shape, given ours. read: its values laid out as ours. write: ours laid out as its.
    All three are views where NumPy can make one.
    """

    shape: Callable[[Shape], Shape]
    read: Callable[[np.ndarray], np.ndarray]
    write: Callable[[np.ndarray], np.ndarray]


def _convolution_shape(shape: Shape) -> Shape:
    patch = math.isqrt(shape[0] // 3)
    return shape[1], 3, patch, patch


SAME = Layout(lambda shape: shape, lambda x: x, lambda x: x)
# torch's linear layers keep [outputs, inputs].
MATRIX = Layout(lambda shape: shape[::-1], lambda x: x.T, lambda x: x.T)
# A convolution over patches, [width, channel, row, column]; ours is a matrix [(row, column, channel), width].
PATCHES = Layout(
    _convolution_shape,
    lambda x: x.transpose(2, 3, 1, 0).reshape(-1, x.shape[0]),
    lambda x: x.reshape(*_convolution_shape(x.shape)[2:], 3, -1).transpose(3, 2, 0, 1),
)


def fused(part: int, parts: int = 3) -> Layout:
    """One of the matrices [width, width], or biases, that lie below each other in a foreign tensor.

    Of an attention's joint input projection these are query (0), key (1) and value (2). Written is that part of it.
    """
    return Layout(lambda shape: (parts * shape[-1], *shape[:-1]), lambda x: np.split(x, parts)[part].T, lambda x: x.T)


def with_axes(count: int) -> Layout:
    """A tensor with so many axes of size 1 before ours."""
    return Layout(
        lambda shape: (*(1,) * count, *shape),
        lambda x: x.reshape(x.shape[count:]),
        lambda x: x.reshape(*(1,) * count, *x.shape),
    )


@dataclasses.dataclass(frozen=True)
class Entry:
    """The foreign tensor `name` holds our parameter `path`.

    Of parameters stacked over layers, `name` has a `{}` in place of the layer's number.
    """

    name: str
    path: str
    layout: Layout = SAME


def linear(name: str, path: str) -> list[Entry]:
    """A linear layer with bias."""
    return [
        Entry(f"{name}.weight", f"{path}.kernel", MATRIX),
        Entry(f"{name}.bias", f"{path}.bias"),
    ]


def layer_norm(name: str, path: str) -> list[Entry]:
    """A layer norm with scale and bias."""
    return [Entry(f"{name}.weight", f"{path}.scale"), Entry(f"{name}.bias", f"{path}.bias")]

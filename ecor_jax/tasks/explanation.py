"""Base classes of the explanations that explainers return: dataclasses that convert to JSON, tables and HTML."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from ecor_jax.errors import needs

if TYPE_CHECKING:
    import pandas


class Plain:
    """A dataclass whose `to_dict` has its fields and the properties named in `derived`, without pictures."""

    derived: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        assert dataclasses.is_dataclass(self)
        fields = [field for field in dataclasses.fields(self) if Image.Image not in (field.type, *get_args(field.type))]
        names = (*(field.name for field in fields), *self.derived)
        values = {name: getattr(self, name) for name in names}
        return {name: _plain(value) for name, value in values.items() if not isinstance(value, Image.Image)}


@dataclasses.dataclass(frozen=True, eq=False)  # arrays have no single truth value
class SaliencyMap(Plain):
    """A saliency map (`clip.saliency`) over the patches of a picture as the model sees it, [rows, columns].

    Values are at least 0, in units of the quantity that is explained: "nats" of a log-probability, or "cosine".
    `to_dict` also has the map's shape and its range, the smallest and the largest value.
    """

    values: Float[np.ndarray, "rows columns"]
    unit: str = "nats"
    derived = ("shape", "range")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def range(self) -> tuple[float, float]:
        return float(self.values.min()), float(self.values.max())


def mapped_view(pixels: UInt8[np.ndarray, "size size 3"], patch_size: int) -> Image.Image:
    """Returns the part of a preprocessed picture that its saliency maps cover: all whole patches.

    Pixels beyond the last whole patch, at the right and at the bottom, are in no patch.
    """
    covered = len(pixels) // patch_size * patch_size
    return Image.fromarray(pixels[:covered, :covered])


class Explained(Plain):
    """The explanation of a picture, or of a pair of pictures.

    template: the template of its page. shown_as: the template's variable for a list of explanations.
    Pictures are in the field `image`, or in `first` and `second`.
    """

    template: ClassVar[str | Path] = "generic.html"
    shown_as: ClassVar[str] = "pictures"
    name: str
    """The name of the picture; a pair has `names` instead."""

    @property
    def names(self) -> Sequence[str]:
        """The names of the picture or of both pictures."""
        return [self.name]

    def table(self) -> list[dict[str, Any]]:
        """Returns the rows of `to_frame` as dictionaries."""
        return [self.to_dict()]

    def to_frame(self) -> "pandas.DataFrame":
        """Returns `table` as a pandas table. Raises UserError if the extra `notebook` is not installed."""
        needs("pandas", "notebook")
        import pandas

        return pandas.DataFrame(self.table())

    def _repr_html_(self) -> str:
        from ecor_jax.pages.page import embedded

        title = ", ".join(Path(name).name for name in self.names)
        return embedded(self.template, title=title, **{self.shown_as: [self]})


def _plain(value: Any) -> Any:
    if isinstance(value, Plain):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _plain(child) for key, child in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_plain(child) for child in value] if isinstance(value, list | tuple) else value

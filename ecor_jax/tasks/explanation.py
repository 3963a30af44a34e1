"""Records of explanations that are also plain data, tables and cards in a notebook."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from PIL import Image

from ecor_jax.errors import needs

if TYPE_CHECKING:
    import pandas


class Plain:
    """A dataclass whose `to_dict` has its fields and the properties named in `derived`, but no pictures."""

    derived: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        assert dataclasses.is_dataclass(self)
        names = (*(field.name for field in dataclasses.fields(self)), *self.derived)
        values = {name: getattr(self, name) for name in names}
        return {name: _plain(value) for name, value in values.items() if not isinstance(value, Image.Image)}


class Explained(Plain):
    """What an explainer gives for a picture, or a pair of them.

    template, shown_as: the page that shows it, and under which name; of a field `image`, or `first` and `second`.
    """

    template: ClassVar[str | Path] = "generic.html"
    shown_as: ClassVar[str] = "pictures"
    name: str
    """Of the picture; a pair has two `names`."""

    @property
    def names(self) -> Sequence[str]:
        """Of the picture, or of both."""
        return [self.name]

    def table(self) -> list[dict[str, Any]]:
        """What `to_frame` shows, a dictionary a line."""
        return [self.to_dict()]

    def to_frame(self) -> "pandas.DataFrame":
        """A pandas table of the explanation, a line for each reason. UserError without the extra `notebook`."""
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
    return [_plain(child) for child in value] if isinstance(value, list | tuple) else value

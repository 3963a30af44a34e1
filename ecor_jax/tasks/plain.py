"""Records of explanations that are also plain data."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from PIL import Image


class Plain:
    """A dataclass whose `to_dict` has its fields and the properties named in `derived`, but no pictures."""

    derived: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        assert dataclasses.is_dataclass(self)
        names = (*(field.name for field in dataclasses.fields(self)), *self.derived)
        values = {name: getattr(self, name) for name in names}
        return {name: _plain(value) for name, value in values.items() if not isinstance(value, Image.Image)}


def _plain(value: Any) -> Any:
    if isinstance(value, Plain):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _plain(child) for key, child in value.items()}
    return [_plain(child) for child in value] if isinstance(value, list | tuple) else value

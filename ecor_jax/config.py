"""The type of a run's config in annotations."""

from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

# Options have the type their config file gave them; ConfigDict's own annotations make a union of each.
if TYPE_CHECKING:
    Config = Any
else:
    Config = ConfigDict

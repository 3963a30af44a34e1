"""The built-in set: a small illustrated world, drawn on the spot, whose visible parts are its rationales."""

from ecor_jax.data.procedural.captions import caption
from ecor_jax.data.procedural.objects import vocabulary
from ecor_jax.data.procedural.source import Procedural

__all__ = ["Procedural", "caption", "vocabulary"]

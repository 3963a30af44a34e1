"""Explainable image recognition with CLIP in JAX. Exports the functions of `ecor_jax.api`, imported lazily."""

import os
from typing import TYPE_CHECKING, Any

from ecor_jax.xla_flags import set_flags

if TYPE_CHECKING:
    from ecor_jax.api import ClipEncoder as ClipEncoder
    from ecor_jax.api import evaluate as evaluate
    from ecor_jax.api import explain as explain
    from ecor_jax.api import load as load
    from ecor_jax.api import load_clip as load_clip
    from ecor_jax.api import train as train

_INTERFACE = ("ClipEncoder", "evaluate", "explain", "load", "load_clip", "train")

set_flags()
# Only transformers' tokenizers are used; without PyTorch, transformers warns that no models are available.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")


def __getattr__(name: str) -> Any:
    """Imports a function of `ecor_jax.api` on first access, because importing JAX takes a second."""
    if name not in _INTERFACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ecor_jax import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_INTERFACE])

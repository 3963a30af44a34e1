"""A flag of JAX's compiler without which one release computes wrong numbers on CPUs.

This module imports nothing that takes time: `import ecor_jax` calls it.
"""

import importlib.metadata
import os
import sys
import warnings

FLAG = "--xla_cpu_experimental_ynn_fusion_type"
"""Which fusions XLA gives to YNNPACK on CPUs; empty: none."""
WRONG = "0.10.2"
"""The jaxlib whose YNNPACK fusions are wrong (jax-ml/jax issues 39103, 39257); the newest for Python 3.11."""


def set_flags() -> None:
    """Turns YNNPACK fusions off in XLA_FLAGS where jaxlib needs that, unless XLA_FLAGS says what to do with them.

    Warns where that cannot be done: JAX reads XLA_FLAGS when its backend starts, and it may be the name of a file.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if FLAG in flags or not _is_wrong():
        return
    bridge = sys.modules.get("jax._src.xla_bridge")  # JAX has no public name that asks without starting a backend
    if bridge is not None and bridge.backends_are_initialized():
        _warn("JAX was used before ecor_jax was imported, too late to mend it; import ecor_jax first")
    elif flags and not flags.lstrip().startswith("-"):
        _warn(f"XLA_FLAGS names the file {flags}, which may not say {FLAG}=; add that there")
    else:
        os.environ["XLA_FLAGS"] = f"{flags} {FLAG}=".strip()


def _is_wrong() -> bool:
    try:
        return importlib.metadata.version("jaxlib") == WRONG
    except importlib.metadata.PackageNotFoundError:
        return False


def _warn(why: str) -> None:
    warnings.warn(
        f"jaxlib {WRONG} computes wrong numbers on CPUs (jax-ml/jax issue 39103), and {why}, "
        "or use Python 3.12 or newer with JAX 0.12",
        RuntimeWarning,
        stacklevel=4,
    )

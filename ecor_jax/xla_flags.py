"""An XLA flag that works around wrong results of one jaxlib release on CPUs.

This module imports nothing slow, because `import ecor_jax` calls it.
"""

import importlib.metadata
import os
import sys
import warnings

FLAG = "--xla_cpu_experimental_ynn_fusion_type"
"""The flag that selects the fusions XLA delegates to YNNPACK on CPUs; an empty value disables them."""
WRONG = "0.10.2"
"""The jaxlib release with wrong YNNPACK fusions (jax-ml/jax issues 39103, 39257), the newest for Python 3.11."""


def set_flags() -> None:
    """Disables YNNPACK fusions in XLA_FLAGS for the affected jaxlib, unless XLA_FLAGS sets the flag already.

    Warns if it cannot: JAX reads XLA_FLAGS when its backend starts, and XLA_FLAGS may be the name of a file.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if FLAG in flags or not _is_wrong():
        return
    bridge = sys.modules.get("jax._src.xla_bridge")  # no public API tells without starting a backend
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

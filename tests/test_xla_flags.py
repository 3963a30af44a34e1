"""jit computes what it should with what users install, at the flags that users have."""

import contextlib
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ecor_jax import xla_flags

# The reported case, jax-ml/jax issue 39103: rows (i, 0, 0) times the identity, summed squares. All are whole numbers.
REPORTED = """
import jax, jax.numpy as jnp
i = jnp.arange(32769, dtype=jnp.float32)
rows = jnp.stack((i, jnp.zeros_like(i), jnp.zeros_like(i)), axis=1)
squares = jax.jit(jax.vmap(lambda row: jnp.sum((jnp.eye(3) @ row) ** 2)))(rows)
assert squares[-1] == 2**30, squares[-1]
"""


@pytest.mark.parametrize("first", ["import ecor_jax", "import jax, ecor_jax", "import ecor_jax.losses"])
def test_the_reported_case_is_right_at_a_users_settings(first):
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-W", "error", "-c", first + REPORTED], env=environment, check=True, timeout=300)


@pytest.fixture
def wrong(monkeypatch):
    """As if the jaxlib that is here were the wrong one, and its backend had not started."""
    monkeypatch.setattr(xla_flags, "WRONG", importlib.metadata.version("jaxlib"))
    bridge = SimpleNamespace(backends_are_initialized=lambda: False)
    monkeypatch.setitem(sys.modules, "jax._src.xla_bridge", bridge)
    return bridge


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, f"{xla_flags.FLAG}="),
        ("--xla_cpu_enable_fast_math=false", f"--xla_cpu_enable_fast_math=false {xla_flags.FLAG}="),
        (f"{xla_flags.FLAG}=LIBRARY_FUSION_TYPE_DOT", f"{xla_flags.FLAG}=LIBRARY_FUSION_TYPE_DOT"),
    ],
)
def test_what_the_user_has_set_stays(wrong, monkeypatch, before, after):
    monkeypatch.delenv("XLA_FLAGS") if before is None else monkeypatch.setenv("XLA_FLAGS", before)
    xla_flags.set_flags()
    assert os.environ["XLA_FLAGS"] == after


@pytest.mark.parametrize(
    ("flags", "started", "said"),
    [("", True, "used before ecor_jax"), ("flags.txt", False, "XLA_FLAGS names the file flags.txt"), ("", True, None)],
    ids=["used before", "a file", "another release"],
)
def test_a_warning_where_it_is_too_late_or_not_ours_to_set_but_none_in_other_releases(
    wrong, monkeypatch, flags, started, said
):
    monkeypatch.setenv("XLA_FLAGS", flags)
    wrong.backends_are_initialized = lambda: started
    if said is None:
        monkeypatch.setattr(xla_flags, "WRONG", "0.0.0")
    with pytest.warns(RuntimeWarning, match=said) if said else contextlib.nullcontext():
        xla_flags.set_flags()
    assert os.environ["XLA_FLAGS"] == flags

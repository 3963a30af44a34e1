"""The CLIP that learners start from; tests change copies alone."""

import pytest

from ecor_jax.checkpoints.model_dir import Model, load_clip


@pytest.fixture(scope="session")
def clip(tiny_clip) -> Model:
    return load_clip(tiny_clip)

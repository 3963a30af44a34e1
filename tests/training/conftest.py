"""A toy to train: a line through noisy points, with a frozen part, batches from Grain and a random key in use."""

from collections.abc import Callable

import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.config.options import read
from ecor_jax.data.pipeline import TrainBatches
from ecor_jax.training.options import Training


class Tuned(nnx.Param):
    """What is trained."""


class Line(nnx.Module):
    def __init__(self):
        self.slope = Tuned(jnp.array([0.5, -0.25, 0.125]))
        self.scale = nnx.Param(jnp.array([1.0, 2.0, 4.0]))


class ToyTask:
    """Least squares, inputs jittered by the step's key; `poison` makes the loss of one batch NaN."""

    trainable = Tuned

    def __init__(self, poison: int | None = None, batch: int = 8):
        self.model = Line()
        self.traces = 0
        points = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
        target = points @ np.array([1.0, -2.0, 3.0], np.float32)

        def point(place: int) -> dict[str, np.ndarray]:
            row = place % len(points)
            x = points[row] * (np.nan if poison is not None and place // batch == poison - 1 else 1)
            return {"x": np.float32(x), "y": target[row]}

        order = grain.MapDataset.range(len(points)).seed(3).shuffle().repeat()
        places = order.map_with_index(lambda index, row: index if poison else row)
        self.batches = TrainBatches(places.map(point), batch)

    def loss(self, model, batch, key):
        self.traces += 1
        x = batch["x"] * model.scale[None] + 0.01 * jax.random.normal(key, batch["x"].shape)
        errors = (x @ model.slope[...] - batch["y"]) ** 2
        return jnp.mean(errors), {"squared": (jnp.sum(errors), jnp.float32(len(errors)))}


@pytest.fixture(scope="session")
def toy() -> Callable[..., ToyTask]:
    return ToyTask


def _options(**changes) -> Training:
    optimizer = {"learning_rate": 0.05, "warmup_steps": 2, "b2": 0.99}
    given = {"seed": 5, "steps": 7, "log_every": 2, "checkpoint_every": 3, "optimizer": optimizer}
    return read(Training, given | changes)


@pytest.fixture(scope="session")
def toy_config() -> Callable[..., Training]:
    """The toy's options as keywords."""
    return _options

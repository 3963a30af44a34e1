"""Training steps for AOT compilation, as `training.loop` compiles them, but with shapes for arrays and no devices."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from ecor_jax.aot.compiled import Step, placed
from ecor_jax.clip.config import ClipConfig
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.parallel import mesh as meshes
from ecor_jax.training.optimizers import make_optimizer
from ecor_jax.training.options import Training
from ecor_jax.training.step import TrainState, jitted, make_step, split

Steps = dict[str, Step]
"""Steps by name: "train", and "evaluate" for tasks that evaluate batches."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Numbers of classes, rationales and identities; one that is None is read from the data, if available."""

    classes: int | None = None
    rationales: int | None = None
    identities: int | None = None


@dataclasses.dataclass(frozen=True)
class AbstractModel:
    """A replacement of `checkpoints.model_dir.Model` within `jax.eval_shape`."""

    clip: Clip
    preprocess: Preprocess


def clip_of(config: ClipConfig, dtype: str) -> AbstractModel:
    """Makes a CLIP of a configuration; call it within `jax.eval_shape`."""
    clip = Clip(config, dtype=jnp.dtype(dtype), rngs=nnx.Rngs(0))
    return AbstractModel(clip, Preprocess(config.vision.image_size))


def batch_of(size: int, image_size: int, **labels: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns the shapes of a batch. labels: (shape of one example, dtype) of each further array."""
    shapes = {"image": ((image_size, image_size, 3), jnp.uint8), **labels}
    return {name: jax.ShapeDtypeStruct((size, *shape), dtype) for name, (shape, dtype) in shapes.items()}


def shapes_of(make: Callable[[], Any]) -> Any:
    """Calls `make` and returns its learner, with the arrays of its model replaced by shapes; computes no array."""
    made: list[Any] = []

    def model() -> nnx.Module:
        made.append(make())
        return made[0].model

    shapes = nnx.eval_shape(model)
    made[0].model = shapes
    return made[0]


def train_step(learner: Any, options: Training, mesh: Mesh, batch: dict[str, Any]) -> Step:
    """Traces the step of `training.loop` for a learner from `shapes_of`. batch: arrays, or their shapes, by name."""
    optimizer = make_optimizer(options.optimizer, options.steps)
    graph, tuned, statistics, frozen = split(learner, options)
    key = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))
    step: Any = jax.ShapeDtypeStruct((), jnp.int32)
    state = TrainState(tuned, statistics, jax.eval_shape(optimizer.init, tuned), step, key)
    state, frozen = (placed(tree, meshes.shardings(tree, mesh)) for tree in (state, frozen))
    compiled = jitted(make_step(learner, graph, optimizer, mesh, options.parallel.grad_accumulation), state)
    batch = placed(batch, jax.tree.map(lambda _: meshes.batch_sharding(mesh), batch))
    arguments = state, frozen, batch
    with meshes.PLATFORM(mesh.devices.flat[0].platform):
        return Step(compiled.trace(*arguments), arguments, len(next(iter(batch.values()))))

"""The centres of millions of identities over eight devices: what a step needs, compiled and never run."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from ecor_jax.parallel.mesh import batch_sharding, make_mesh
from ecor_jax.tasks.verification.model import Margin, Recogniser
from ecor_jax.training.step import Statistic, TrainState, make_step
from tests.tasks.verification.faces import make_face, make_task

DEVICES, BATCH, SIZE = 8, 512, 512
OPTIMIZER = optax.adamw(3e-4)


def memory(identities: int, sampled: float):
    """Of one device of eight, all of them along `model`, in a step of AdaFace with AdamW."""
    face, margin = make_face(size=SIZE, adapter=0), Margin("adaface", sampled=sampled)
    task = make_task(margin=margin, face=face, identities=64, batch_size=1, shards=DEVICES)
    task.sampled = None if sampled == 1 else round(sampled * -(-identities // DEVICES))
    # Shapes alone: 10 million centres are 20 GB, thrice with Adam's moments.
    task.model = nnx.eval_shape(lambda: Recogniser(face, identities, DEVICES, nnx.Rngs(0)))
    mesh = make_mesh(DEVICES)
    rows = task.model.centres.shape[0]

    def abstract(leaf: Any) -> jax.ShapeDtypeStruct:
        spec = PartitionSpec("model") if leaf.shape[:1] == (rows,) else PartitionSpec()
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=NamedSharding(mesh, spec))

    graph, tuned, statistics, frozen = nnx.split(task.model, task.trainable, Statistic, ...)
    tuned, statistics = nnx.to_pure_dict(tuned), nnx.to_pure_dict(statistics)
    optimizer = jax.eval_shape(OPTIMIZER.init, tuned)
    key = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))
    state = TrainState(tuned, statistics, optimizer, jax.ShapeDtypeStruct((), jnp.int32), key)
    shapes = {"image": ((BATCH, 16, 16, 3), np.uint8), "label": ((BATCH,), np.int32)}
    batch = {name: jax.ShapeDtypeStruct(*shape, sharding=batch_sharding(mesh)) for name, shape in shapes.items()}
    step = jax.jit(make_step(task, graph, OPTIMIZER), donate_argnums=0)
    return step.lower(jax.tree.map(abstract, state), jax.tree.map(abstract, frozen), batch).compile().memory_analysis()


@pytest.mark.parametrize(("identities", "sampled"), [(85_742, 1.0), (10_000_000, 1.0), (10_000_000, 0.1)])
def test_a_device_holds_its_share_of_the_centres_alone(identities, sampled):
    needed = memory(identities, sampled)
    own = math.ceil(identities / DEVICES)
    kernel, logits = 4 * own * SIZE, 4 * BATCH * math.ceil(own * sampled)
    # The centres and both moments, split; the rest of the model is small.
    assert 3 * kernel <= needed.argument_size_in_bytes < 3 * kernel + 2**22
    # A few arrays of a device's logits, or of its centres where they are the larger ones.
    assert needed.temp_size_in_bytes < 6 * max(kernel, logits) + 2**24

"""Where arrays live on a mesh of eight devices, and that a step gives the same on every mesh."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.clip.prompts import Prompt, VisualPrompts
from ecor_jax.errors import UserError
from ecor_jax.joint import Banks
from ecor_jax.parallel.mesh import batch_sharding, global_batch, make_mesh, place
from ecor_jax.tasks.rationale.methods import METHODS
from ecor_jax.tasks.rationale.model import RationaleLearner, RationaleLoss, RationaleModel
from ecor_jax.training.step import TrainState, make_step

pytestmark = pytest.mark.usefixtures("strict_dtypes")

CLASSES, RATIONALES, BATCH = 4, 5, 16


@pytest.fixture(scope="module")
def task(tiny_clip) -> RationaleLearner:
    model, rng = load_clip(tiny_clip), np.random.default_rng(0)
    rows = [rng.normal(size=shape) for shape in ((RATIONALES, 16), (RATIONALES, CLASSES, 16))]
    banks = Banks(*(jnp.asarray(row / np.linalg.norm(row, axis=-1, keepdims=True), jnp.float32) for row in rows))
    prompts = VisualPrompts(model.clip.config.vision, 2, (0, 1), rngs=nnx.Rngs(1))
    batches: Any = None
    return RationaleLearner(
        RationaleModel(model, prompts, banks), METHODS["ecor"], batches, RationaleLoss(candidates="batch")
    )


@pytest.fixture(scope="module")
def batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "image": rng.integers(0, 256, (BATCH, 16, 16, 3)).astype(np.uint8),
        "category": rng.integers(0, CLASSES, BATCH).astype(np.int32),
        "rationales": (rng.random((BATCH, RATIONALES)) < 0.5) & (np.arange(BATCH) < BATCH - 1)[:, None],
    }


@pytest.mark.parametrize(("model", "shape"), [(1, (8, 1)), (2, (4, 2)), (8, (1, 8))])
def test_a_mesh_takes_all_devices(model, shape):
    assert jax.device_count() == 8
    mesh = make_mesh(model)
    assert mesh.axis_names == ("data", "model") and mesh.devices.shape == shape
    assert len(set(mesh.devices.flat)) == 8


@pytest.mark.parametrize("model", [0, -1, 3, 16])
def test_a_mesh_that_does_not_divide_the_devices_is_refused(model):
    with pytest.raises(UserError, match=rf"parallel\.model is {model}; expected a divisor of the 8 devices"):
        make_mesh(model)


def specs(state) -> dict[str, PartitionSpec]:
    return {jax.tree_util.keystr(path): leaf.sharding.spec for path, leaf in jax.tree_util.tree_leaves_with_path(state)}


def test_prompts_and_pair_banks_are_split_over_model_and_all_else_is_whole(task):
    mesh = make_mesh(4)
    placed = specs(place(nnx.state(task.model), mesh))
    split = {name: spec for name, spec in placed.items() if spec != PartitionSpec()}
    assert {name.split("'")[1]: spec for name, spec in split.items()} == {
        "prompts": PartitionSpec(None, None, "model"),
        "pair_bank": PartitionSpec(None, "model", None),
    }
    assert len(placed) > 20
    # The same by what is tuned and what is frozen, as the loop places them.
    _, tuned, frozen = nnx.split(task.model, Prompt, ...)
    assert specs(place(tuned, mesh)) | specs(place(frozen, mesh)) == placed
    # Each device holds its share.
    (tokens,) = jax.tree.leaves(place(tuned, mesh))
    assert {shard.data.shape for shard in tokens.addressable_shards} == {(2, 2, 32 // 4)}
    # An axis that does not divide is left whole: four classes on eight devices.
    placed = specs(place(nnx.state(task.model), make_mesh(8)))
    assert {spec for name, spec in placed.items() if "pair_bank" in name} == {PartitionSpec()}
    assert {spec for name, spec in placed.items() if "prompts" in name} == {PartitionSpec(None, None, "model")}


def test_a_batch_is_split_over_data(batch):
    mesh = make_mesh(2)
    found = global_batch(batch, mesh)
    for name, rows in found.items():
        assert rows.sharding == batch_sharding(mesh)
        assert {shard.data.shape[0] for shard in rows.addressable_shards} == {BATCH // 4}
        np.testing.assert_array_equal(rows, batch[name])


OPTIMIZER = optax.sgd(0.1, momentum=0.9)


def first_step(task, tuned, frozen, batch):
    """Loss, gradient norm and prompts after one step."""
    graph, *_ = nnx.split(task.model, task.trainable, ...)
    tuned = nnx.to_pure_dict(tuned)
    state = TrainState(tuned, {}, OPTIMIZER.init(tuned), jnp.int32(0), jax.random.key_data(jax.random.key(0)))
    state, metrics = jax.jit(make_step(task, graph, OPTIMIZER))(state, frozen, batch)
    return state.tuned["prompts"]["tokens"], {name: total for name, (total, _) in metrics.items()}


@pytest.fixture(scope="module")
def on_one_device(task, batch):
    _, tuned, frozen = nnx.split(task.model, task.trainable, ...)
    one = jax.devices()[0]
    return first_step(task, *jax.device_put((tuned, frozen, batch), one))


@pytest.mark.parametrize("model", [1, 2, 4])
def test_a_step_gives_the_same_on_every_mesh(task, batch, on_one_device, model):
    mesh = make_mesh(model)
    _, tuned, frozen = nnx.split(task.model, task.trainable, ...)
    tokens, metrics = first_step(task, place(tuned, mesh), place(frozen, mesh), global_batch(batch, mesh))
    expected, expected_metrics = on_one_device
    np.testing.assert_allclose(tokens, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(np.asarray(tokens) - np.asarray(task.model.prompts.tokens[...])).max() > 1e-3  # it did step
    for name, value in metrics.items():
        assert float(value) == pytest.approx(float(expected_metrics[name]), rel=1e-5), name
    # The prompts stay where they were put: no device gathers them between steps.
    assert tokens.sharding.is_equivalent_to(jax.tree.leaves(place(tuned, mesh))[0].sharding, 3)

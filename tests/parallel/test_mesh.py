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
from ecor_jax.parallel.mesh import batch_sharding, global_batch, make_mesh, place
from ecor_jax.parallel.shards import split_columns
from ecor_jax.tasks.rationale.joint import Banks
from ecor_jax.tasks.rationale.methods import METHODS
from ecor_jax.tasks.rationale.model import RationaleLearner, RationaleLoss, RationaleModel
from ecor_jax.tasks.rationale.predict import predict
from ecor_jax.training.step import TrainState, make_step, use_remat

# Numbers that no mesh of eight divides.
CLASSES, RATIONALES, BATCH = 7, 5, 16
AUTO = (jax.sharding.AxisType.Auto,) * 2
ALONE = jax.make_mesh((1, 1), ("data", "model"), devices=jax.devices()[:1], axis_types=AUTO)


def make_task(clip, mesh, method: str = "ecor", **options) -> RationaleLearner:
    rng = np.random.default_rng(0)
    first, second = (CLASSES, RATIONALES) if method == "ecor_reversed" else (RATIONALES, CLASSES)
    arrays = [rng.normal(size=shape) for shape in ((first, 16), (first, second, 16))]
    outer, pair = ((array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32) for array in arrays)
    pair = split_columns(pair[:1] if method in ("ecor_independent", "cci_tuned") else pair, mesh)
    banks = Banks(None if method == "dror" else jnp.asarray(outer), pair, METHODS[method].condition)
    prompts = VisualPrompts(clip.clip.config.vision, 2, (0, 1), rngs=nnx.Rngs(1))
    batches: Any = None
    return RationaleLearner(
        RationaleModel(clip, prompts, banks, mesh, second), METHODS[method], batches, RationaleLoss(**options)
    )


@pytest.fixture(scope="module")
def clip(tiny_clip):
    return load_clip(tiny_clip)


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


def test_prompts_and_pair_banks_are_split_and_all_else_is_whole(clip):
    """By what is tuned and what is frozen, as the loop places them. Of other tasks: test_golden.py."""
    mesh = make_mesh(4)
    _, tuned, frozen = nnx.split(make_task(clip, mesh).model, Prompt, ...)
    (tokens,) = jax.tree.leaves(place(tuned, mesh))
    leaves = jax.tree_util.tree_leaves_with_path(place(frozen, mesh))
    others = {jax.tree_util.keystr(path).split("'")[1]: leaf for path, leaf in leaves if not leaf.is_fully_replicated}
    assert len(leaves) > 20 and others.keys() == {"pair_bank"}
    assert tokens.sharding.spec == PartitionSpec(None, None, ("data", "model"))
    assert others["pair_bank"].sharding.spec == PartitionSpec(None, "model")
    # Each device holds its share: seven classes are padded to eight.
    assert {shard.data.shape for shard in tokens.addressable_shards} == {(2, 2, 32 // 8)}
    assert {shard.data.shape for shard in others["pair_bank"].addressable_shards} == {(RATIONALES, 8 // 4, 16)}


def test_a_batch_is_split_over_all_devices(batch):
    mesh = make_mesh(2)
    found = global_batch(batch, mesh)
    for name, rows in found.items():
        assert rows.sharding == batch_sharding(mesh)
        assert {shard.data.shape[0] for shard in rows.addressable_shards} == {BATCH // 8}
        np.testing.assert_array_equal(rows, batch[name])


OPTIMIZER = optax.sgd(0.1, momentum=0.9)


def first_step(task, batch, mesh, grad_accumulation=1):
    """Prompts and metrics after one step, and the bytes that it needs beside its arguments."""
    graph, tuned, frozen = nnx.split(task.model, task.trainable, ...)
    tuned, frozen = place(nnx.to_pure_dict(tuned), mesh), place(frozen, mesh)
    state = TrainState(tuned, {}, OPTIMIZER.init(tuned), jnp.int32(0), jax.random.key_data(jax.random.key(0)))
    arguments = state, frozen, global_batch(batch, mesh)
    step = jax.jit(make_step(task, graph, OPTIMIZER, mesh, grad_accumulation)).lower(*arguments).compile()
    state, metrics = step(*arguments)
    numbers = {name: float(total) / float(count) for name, (total, count) in metrics.items()}
    return state.tuned["prompts"]["tokens"], numbers, step.memory_analysis().temp_size_in_bytes


# tests/commands/test_meshes.py has whole runs of ecor and dror, whose gold is drawn, on every mesh.
CASES = [
    ("ecor", {"gold": "pseudo"}, 8),
    ("ecor", {"candidates": "batch"}, 4),
    ("ecor_independent", {}, 2),
    ("ecor_reversed", {"gold": "pseudo"}, 4),
    ("dror", {"gold": "pseudo"}, 4),
    ("dror", {"candidates": "batch"}, 2),
]


@pytest.mark.parametrize(("method", "options", "model"), CASES)
def test_a_step_gives_the_same_on_a_mesh(clip, batch, method, options, model):
    alone, mesh = make_task(clip, ALONE, method, **options), make_mesh(model)
    before = np.asarray(alone.model.prompts.tokens[...])
    expected, expected_metrics, _ = first_step(alone, batch, ALONE)
    assert np.abs(np.asarray(expected) - before).max() > 1e-3  # it did step
    tokens, metrics, _ = first_step(make_task(clip, mesh, method, **options), batch, mesh)
    np.testing.assert_allclose(tokens, expected, rtol=1e-5, atol=1e-6)
    assert metrics == pytest.approx(expected_metrics, rel=1e-5)


@pytest.mark.parametrize(
    ("method", "model"), [("ecor", 8), ("ecor_independent", 2), ("ecor_reversed", 4), ("dror", 8), ("cci_tuned", 4)]
)
def test_answers_are_the_same_on_a_mesh(clip, batch, method, model):
    def answers(mesh):
        task = make_task(clip, mesh, method)
        batches = [batch | {"mask": np.ones(BATCH, bool)}]
        return predict(task.model, task.method, batches, top_k=9, mesh=mesh, total=BATCH)

    expected = answers(ALONE)
    for name, values in answers(make_mesh(model))._asdict().items():
        if name == "looked_at" and method == "dror":
            assert values is None
            continue
        tolerance = 1e-5 if values.dtype.kind == "f" else 0
        np.testing.assert_allclose(values, getattr(expected, name), rtol=tolerance, err_msg=name)


@pytest.mark.parametrize(("remat", "pieces"), [(True, 1), (False, 8)], ids=["remat", "grad_accumulation"])
def test_a_step_in_less_memory_is_the_same(clip, batch, remat, pieces):
    """All images have a rationale here: the mean over the pieces is the mean over the batch.

    Of a tower of two blocks rematerialisation saves nothing; tests/clip/test_transformer.py counts what is kept.
    """
    mesh, batch = make_mesh(2), {name: np.concatenate([values[:8]] * 8) for name, values in batch.items()}
    batch["rationales"][:, 0] = True
    tokens, metrics, before = first_step(make_task(clip, mesh, gold="pseudo"), batch, mesh)
    task = make_task(clip, mesh, gold="pseudo")
    if remat:
        use_remat(task.model)
    again, numbers, after = first_step(task, batch, mesh, pieces)
    np.testing.assert_allclose(again, tokens, rtol=1e-5, atol=1e-6)
    assert numbers == pytest.approx(metrics, rel=1e-5)
    assert after < 0.5 * before or pieces == 1

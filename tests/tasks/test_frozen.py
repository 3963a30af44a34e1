"""Only prompts are trained: by the compiled step's operations and memory, and by what a run leaves unchanged."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.clip.config import VisionConfig
from ecor_jax.clip.model import Clip
from ecor_jax.clip.prompts import Prompt, VisualPrompts
from ecor_jax.parallel.mesh import UNROLLED
from ecor_jax.tasks.rationale.joint import Banks
from ecor_jax.tasks.rationale.methods import METHODS
from ecor_jax.tasks.rationale.model import RationaleLearner, RationaleLoss, RationaleModel
from tests.tasks.steps import begin

pytestmark = pytest.mark.usefixtures("strict_dtypes")

CLASSES, RATIONALES, BATCH = 4, 6, 8


class AllTrained(RationaleLearner):
    """The same task with the whole vision tower trained: what freezing is compared with."""

    trainable = nnx.Param  # Prompt is one


@pytest.fixture(scope="module")
def model(tiny_clip):
    """A tower whose matrix products outweigh all else, so that operations show what is computed."""
    loaded = load_clip(tiny_clip)
    config = dataclasses.replace(
        loaded.clip.config, vision=VisionConfig(image_size=32, patch_size=8, width=64, layers=3, heads=2, mlp_width=256)
    )
    return dataclasses.replace(loaded, clip=Clip(config, rngs=nnx.Rngs(0)))


def make_task(model, kind: type[RationaleLearner], layers: tuple[int, ...] = (0, 1, 2)) -> RationaleLearner:
    rng = np.random.default_rng(0)
    embed = model.clip.config.embed_dim
    banks = Banks(
        jnp.asarray(rng.normal(size=(RATIONALES, embed)), jnp.float32),
        jnp.asarray(rng.normal(size=(RATIONALES, CLASSES, embed)), jnp.float32),
    )
    prompts = VisualPrompts(model.clip.config.vision, 2, layers, rngs=nnx.Rngs(1))
    batches: Any = None
    return kind(RationaleModel(model, prompts, banks), METHODS["ecor"], batches, RationaleLoss())


def make_batch() -> dict[str, jax.Array]:
    rng = np.random.default_rng(1)
    return {
        "image": jnp.asarray(rng.integers(0, 256, (BATCH, 32, 32, 3)), jnp.uint8),
        "category": jnp.arange(BATCH, dtype=jnp.int32) % CLASSES,
        "rationales": jnp.asarray(np.arange(BATCH)[:, None] % RATIONALES == np.arange(RATIONALES)),
    }


def compiled(step, state, frozen):
    return jax.jit(step).lower(state, frozen, make_batch()).compile()


def operations(program) -> float:
    return program.cost_analysis()["flops"]


@pytest.fixture(scope="module")
def programs(model):
    """The compiled step of both, and the forward pass alone, unrolled as they are: a scanned body is counted once."""
    optimizer = optax.sgd(1e-2, momentum=0.9)
    _, *ours = begin(make_task(model, RationaleLearner), optimizer)
    _, *whole = begin(make_task(model, AllTrained), optimizer)
    task = make_task(model, RationaleLearner)
    graph, state = nnx.split(task.model)

    def forward(state, batch):
        with UNROLLED(True):
            return task.loss(nnx.merge(graph, state), batch, jax.random.key(0))[0]

    return {
        "prompts": compiled(*ours),
        "all": compiled(*whole),
        "forward": jax.jit(forward).lower(state, make_batch()).compile(),
        "without logging": compiled(lambda *args: ours[0](*args)[0], *ours[1:]),
    }


def test_the_step_costs_a_forward_pass_and_the_gradients_of_activations(programs):
    # Of a matrix product y = x w, the forward pass is one product, dx another one and dw a third.
    forward = operations(programs["forward"])
    assert 1.8 < operations(programs["prompts"]) / forward < 2.3
    # The bound means something: with the weights' gradients it is a pass more.
    assert operations(programs["all"]) / forward > 2.75


def test_the_logged_gradient_norm_does_not_bring_the_frozen_backward_pass_back(programs):
    logged, silent = operations(programs["prompts"]), operations(programs["without logging"])
    assert logged < 1.01 * silent


def test_the_step_keeps_no_gradients_of_weights_in_memory(programs, model):
    def bytes_out(name: str) -> int:
        return programs[name].memory_analysis().output_size_in_bytes

    weights = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model.clip.vision))) * 4
    # Weights and momentum leave the step with all trained; prompts and theirs alone with ours.
    assert bytes_out("all") - bytes_out("prompts") >= 2 * weights
    assert bytes_out("prompts") < weights / 20
    temporary = {name: programs[name].memory_analysis().temp_size_in_bytes for name in ("prompts", "all")}
    assert temporary["prompts"] < temporary["all"]


@pytest.mark.parametrize("optimizer", [optax.sgd(1e-2, momentum=0.9), optax.adamw(1e-2)], ids=["sgd", "adamw"])
def test_state_and_optimizer_hold_arrays_of_prompts_only(model, optimizer):
    _, _, state, frozen = begin(make_task(model, RationaleLearner), optimizer)
    assert [leaf.shape for leaf in jax.tree.leaves(state.tuned)] == [(3, 2, 64)]
    # Moments, and the counters of schedules.
    assert {leaf.shape for leaf in jax.tree.leaves(state.optimizer)} <= {(3, 2, 64), ()}
    assert not any(
        isinstance(leaf, Prompt) for leaf in jax.tree.leaves(frozen, is_leaf=lambda x: isinstance(x, Prompt))
    )


@pytest.mark.parametrize("layers", [(0,), (1, 2)])
def test_steps_change_prompts_and_leave_every_frozen_array_bit_identical(model, layers):
    task = make_task(model, RationaleLearner, layers)
    before = jax.tree.map(np.array, nnx.to_pure_dict(nnx.state(task.model)))
    graph, step, state, frozen = begin(task, optax.sgd(1e-2, momentum=0.9))
    losses = []
    for _ in range(4):
        state, metrics = step(state, frozen, make_batch())
        losses.append(float(metrics["loss"][0]))
    assert step._cache_size() == 1 and int(state.step) == 4
    after = nnx.to_pure_dict(nnx.state(nnx.merge(graph, state.tuned, state.statistics, frozen)))
    changed = [
        jax.tree_util.keystr(path)
        for (path, old), new in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True)
        if old.tobytes() != np.asarray(new).tobytes()
    ]
    assert changed == ["['prompts']['tokens']"]
    assert losses[-1] != losses[0]
    # Prompts of all the chosen layers.
    assert (np.abs(after["prompts"]["tokens"] - before["prompts"]["tokens"]).max(axis=(1, 2)) > 0).all()

"""What every learner promises: only what is tuned is trained, which costs as little, and a run can be gone on with."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from ecor_jax.clip.config import VisionConfig
from ecor_jax.clip.model import Clip
from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.data.pipeline import TrainBatches
from ecor_jax.parallel.mesh import UNROLLED
from ecor_jax.tasks.concepts.model import HeadLoss
from ecor_jax.tasks.pretrain.model import PretrainLearner
from ecor_jax.tasks.rationale.joint import Banks
from ecor_jax.tasks.rationale.methods import METHODS
from ecor_jax.tasks.rationale.model import RationaleLearner, RationaleLoss, RationaleModel
from ecor_jax.tasks.verification.model import PARTS, Margin
from ecor_jax.training.loop import train
from tests.tasks.concepts.heads import ONES, separable, task_of
from tests.tasks.steps import arrays_of, begin, training
from tests.tasks.verification import faces

CLASSES, RATIONALES, BATCH = 4, 6, 8
# Its matrix products outweigh all else, so that operations show what is computed.
VISION = VisionConfig(image_size=32, patch_size=8, width=64, layers=3, heads=2, mlp_width=256)


class AllTrained(RationaleLearner):
    """The same task with the whole vision tower trained: what freezing is compared with."""

    trainable = nnx.Param  # Prompt is one


def rationale_task(clip, kind: type[RationaleLearner] = RationaleLearner, layers=(0, 1, 2)) -> RationaleLearner:
    model = dataclasses.replace(clip, clip=Clip(dataclasses.replace(clip.clip.config, vision=VISION), rngs=nnx.Rngs(0)))
    rng, embed = np.random.default_rng(0), clip.clip.config.embed_dim
    banks = Banks(*(jnp.asarray(rng.normal(size=size), jnp.float32)
                    for size in ((RATIONALES, embed), (RATIONALES, CLASSES, embed))))  # fmt: skip
    batches: Any = None
    prompts = VisualPrompts(VISION, 2, layers, rngs=nnx.Rngs(1))
    return kind(RationaleModel(model, prompts, banks), METHODS["ecor"], batches, RationaleLoss())


def rationale_batch() -> dict[str, jax.Array]:
    return {
        "image": jnp.asarray(np.random.default_rng(1).integers(0, 256, (BATCH, 32, 32, 3)), jnp.uint8),
        "category": jnp.arange(BATCH, dtype=jnp.int32) % CLASSES,
        "rationales": jnp.asarray(np.arange(BATCH)[:, None] % RATIONALES == np.arange(RATIONALES)),
    }


def operations(program) -> float:
    return program.cost_analysis()["flops"]


@pytest.fixture(scope="module")
def programs(clip):
    """The compiled step of both, and the forward pass alone, unrolled as they are: a scanned body is counted once."""
    optimizer, batch, task = optax.sgd(1e-2, momentum=0.9), rationale_batch(), rationale_task(clip)
    _, step, *ours = begin(task, optimizer)
    _, all_trained, *whole = begin(rationale_task(clip, AllTrained), optimizer)
    graph, state = nnx.split(task.model)

    def forward(state, batch):
        with UNROLLED(True):
            return task.loss(nnx.merge(graph, state), batch, jax.random.key(0))[0]

    return {
        "prompts": step.lower(*ours, batch).compile(),
        "all": all_trained.lower(*whole, batch).compile(),
        "forward": jax.jit(forward).lower(state, batch).compile(),
        "without logging": jax.jit(lambda *args: step(*args)[0]).lower(*ours, batch).compile(),
    }


def test_the_step_costs_a_forward_pass_and_the_gradients_of_activations(programs):
    # Of a matrix product y = x w, the forward pass is one product, dx another one and dw a third.
    forward = operations(programs["forward"])
    assert 1.8 < operations(programs["prompts"]) / forward < 2.3
    # The bound means something: with the weights' gradients it is a pass more.
    assert operations(programs["all"]) / forward > 2.75
    # Nor does the logged norm of the gradient bring the frozen backward pass back.
    assert operations(programs["prompts"]) < 1.01 * operations(programs["without logging"])


def test_the_step_keeps_no_gradients_of_weights_in_memory(programs):
    memory = {name: programs[name].memory_analysis() for name in ("prompts", "all")}
    out = {name: needed.output_size_in_bytes for name, needed in memory.items()}
    weights = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(faces.make_face(vision=VISION).vision))) * 4
    # Weights and momentum leave the step with all trained; prompts and theirs alone with ours.
    assert out["all"] - out["prompts"] >= 2 * weights and out["prompts"] < weights / 20
    assert memory["prompts"].temp_size_in_bytes < memory["all"].temp_size_in_bytes


@pytest.mark.slow
def test_what_is_not_tuned_of_a_face_model_is_not_differentiated():
    costs = {}
    for part in ("aggregation", "last_mlp", "last_block", "encoder"):
        _, step, state, frozen = begin(faces.make_task((part,), face=faces.make_face(vision=VISION)), optax.sgd(1e-2))
        costs[part] = operations(step.lower(state, frozen, faces.batch_of(size=32)).compile())
    order = list(costs.values())
    assert order == sorted(order) and len(set(order)) == 4
    # Weights' gradients of both matrices, and what passes back through the second, for the CLS token of each image.
    product = 2 * faces.BATCH * 64 * 256
    assert 3 * product < costs["last_mlp"] - costs["aggregation"] < 5 * product
    # A backward pass costs twice a forward pass; a scan's body, two blocks, is counted once.
    assert costs["encoder"] > 2.4 * costs["aggregation"]


# What changes

# What each part of a face model is, said once more: where its parameters lie, and how many arrays they are.
PLACES = {
    "aggregation": ("face/bottleneck/aggregation/", 2),
    "adapter": ("face/bottleneck/adapter/", 2),
    "last_mlp": ("face/vision/transformer/last/mlp_", 4),
    "last_block": ("face/vision/transformer/last/", 16),
    "projection": ("face/vision/projection/", 1),
    "encoder": ("face/vision/", 40),
}
STATISTICS = {"norm_mean", "norm_std"}


def parameters_of(*parts: str) -> set[str]:
    """The paths of the parameters of these parts, and of the centres, which are always trained."""
    found = arrays_of(nnx.to_pure_dict(nnx.state(faces.make_task().model, nnx.Param)))
    return {path for path in found if path.startswith(("centres", *(PLACES[part][0] for part in parts)))}


def test_the_parts_are_all_looked_at():
    # A CLIP has no attention pooling.
    every = arrays_of(nnx.to_pure_dict(nnx.state(faces.make_task().model, nnx.Param)))
    assert PLACES.keys() == PARTS.keys() - {"pool"} and parameters_of(*PLACES) == every.keys()
    for part, (_, count) in PLACES.items():
        assert len(parameters_of(part)) == 1 + count


def rationale(*layers: int):
    return lambda clip: (rationale_task(clip, layers=layers), rationale_batch(), {"prompts/tokens"})


def face(*tuned: str, output="aggregated"):
    return lambda clip: (
        faces.make_task(tuned, face=faces.make_face(output=output)), faces.batch_of(), parameters_of(*tuned)
    )  # fmt: skip


def head(kind: str, tuned: set[str], push_absent: bool = False):
    return lambda clip: (task_of(separable(), HeadLoss(True, ONES, 2.0, push_absent), kind), separable(), tuned)


def pretraining(loss: Any):
    def make(clip):
        rng, batches = np.random.default_rng(0), None
        task = PretrainLearner(nnx.clone(clip.clip), batches, clip.preprocess, loss=loss)
        image, text = rng.integers(0, 256, (4, 16, 16, 3)), rng.integers(1, 300, (4, 12))
        batch = {"image": image.astype(np.uint8), "text": text.astype(np.int32), "group": np.arange(4, dtype=np.int32)}
        bias = {"logit_bias"} if loss == "sigmoid" else set()
        return task, batch, bias | {name for name in arrays_of(task.model) if name.startswith("clip/")}

    return make


END = {"aggregation/kernel", "aggregation/bias"}
ADAPTED = END | {"adapter/down/kernel", "adapter/up/kernel"}
LEARNERS = {
    "prompts": rationale(0),
    "deep prompts": rationale(1, 2),
    **{f"face {part}": face(part) for part in PLACES},
    "adapter alone": face("adapter", output="features"),
    "projection alone": face("projection", output="features"),
    "activations": face("last_mlp", output="activations"),
    "centres": face(),
    "several parts": face("aggregation", "last_mlp", "adapter"),
    "nested parts": face("last_mlp", "last_block"),
    "head": head("bottleneck", ADAPTED),
    "head that is pushed": head("bottleneck", ADAPTED, push_absent=True),
    "black box": head("mlp", {f"{layer}/{kind}" for layer in ("hidden", "last") for kind in ("kernel", "bias")}),
    "pretraining": pretraining("softmax"),
    "pretraining by sigmoids": pretraining("sigmoid"),
}


@pytest.mark.parametrize("learner", LEARNERS)
def test_steps_change_what_is_tuned_and_leave_all_else_bit_identical(clip, learner):
    task, batch, tuned = LEARNERS[learner](clip)
    before = arrays_of(task.model)
    graph, step, state, frozen = begin(task, optax.sgd(0.1, momentum=0.9))
    assert arrays_of(state.tuned).keys() == tuned
    moments = [leaf.shape for leaf in jax.tree.leaves(state.optimizer)]
    assert moments == [leaf.shape for leaf in jax.tree.leaves(state.tuned)]
    losses = []
    for _ in range(3):
        state, metrics = step(state, frozen, batch)
        losses.append(float(metrics["loss"][0]))
    assert step._cache_size() == 1 and int(state.step) == 3
    assert np.isfinite(losses).all() and losses[-1] != losses[0]
    statistics = STATISTICS & before.keys()
    assert arrays_of(state.statistics).keys() == statistics
    after = arrays_of(nnx.merge(graph, state.tuned, state.statistics, frozen))
    assert after.keys() == before.keys()
    changed = {name for name, old in before.items() if old.tobytes() != after[name].tobytes()}
    # A bias of the key moves all scores of a query alike: it has no gradient but rounding.
    idle = {name for name in tuned if name.endswith("key/bias")}
    assert changed - idle == (tuned | statistics) - idle
    if tuned == {"prompts/tokens"}:
        moved = np.abs(after["prompts/tokens"] - before["prompts/tokens"]).max(axis=(1, 2))
        assert (moved > 0).all(), "prompts of all the chosen layers"


def face_run() -> Any:
    rows = faces.pictures(24, 24)
    order = grain.MapDataset.range(24).seed(3).shuffle().repeat()
    examples = order.map(lambda row: {name: values[row] for name, values in rows.items()})
    tuned, margin = ("aggregation", "last_mlp"), Margin(rate=0.3, sampled=0.7)
    return faces.make_task(tuned, margin, batches=TrainBatches(examples, faces.BATCH), identities=24, shards=2)


RUNS = {"faces": face_run, "heads": lambda: task_of(separable())}


def trained(name: str, steps: int, workdir: Path) -> tuple[Any, dict[str, np.ndarray]]:
    """The learner and the arrays of the model."""
    task = RUNS[name]()
    # jax.random.key is made from an int of Python's, optax multiplies floats by it.
    with jax.numpy_dtype_promotion("standard"):
        found = train(task, training(steps, 0.01, model=2, checkpoint_every=2), workdir, name)
    return task, arrays_of(found)


def saved(workdir: Path, name: str, step: int) -> dict[str, np.ndarray]:
    with ocp.StandardCheckpointer() as checkpointer:
        return arrays_of(checkpointer.restore((workdir / "checkpoints" / name / str(step) / "state").absolute()))


def losses(workdir: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", RUNS)
def test_a_run_in_two_parts_is_the_run_in_one_bit_for_bit(name, tmp_path):
    """Statistics are part of the checkpoint, frozen weights are not; the learner keeps its model."""
    tuned, statistics = (parameters_of("aggregation", "last_mlp"), STATISTICS) if name == "faces" else (ADAPTED, set())
    task, whole = trained(name, 4, tmp_path / "one")
    first, second = (trained(name, steps, tmp_path / "two")[1] for steps in (2, 4))
    for path, wanted in whole.items():
        np.testing.assert_array_equal(second[path], wanted, err_msg=path, strict=True)
    one, other = (saved(tmp_path / folder, name, 4) for folder in ("one", "two"))
    assert one.keys() == other.keys()
    for path in one:
        np.testing.assert_array_equal(one[path], other[path], err_msg=path, strict=True)
    assert losses(tmp_path / "one") == losses(tmp_path / "two")
    assert {path.removeprefix("tuned/") for path in one if path.startswith("tuned/")} == tuned
    start, earlier = arrays_of(task.model), saved(tmp_path / "one", name, 2)
    for path in tuned | statistics:
        assert (whole[path] != start[path]).any() and (whole[path] != first[path]).any(), path
    for path in statistics:
        np.testing.assert_array_equal(one[f"statistics/{path}"], whole[path], strict=True)
        assert start[path] > earlier[f"statistics/{path}"] > whole[path], "norms are far below the start"

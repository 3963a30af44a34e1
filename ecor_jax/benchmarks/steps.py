"""Benchmarks prompt tuning and evaluation, given the text embeddings of all (rationale, class) pairs."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ecor_jax.benchmarks.measure import Side, Suite, largest_difference
from ecor_jax.benchmarks.models import Setting, compiled, peak_bytes, pixels
from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.clip.prompts import VisualPrompts, prompt_layers
from ecor_jax.parallel.flops import matrix_flops
from ecor_jax.parallel.mesh import make_mesh, page_aligned_zeros, place, unstack
from ecor_jax.parallel.shards import Shards
from ecor_jax.tasks.rationale.joint import Banks, TopPairs, top_pairs
from ecor_jax.tasks.rationale.methods import METHODS
from ecor_jax.tasks.rationale.model import PromptedTower, RationaleLearner, RationaleModel
from ecor_jax.tasks.rationale.options import RationaleLoss
from ecor_jax.tasks.rationale.predict import predict
from ecor_jax.training.optimizers import make_optimizer
from ecor_jax.training.options import Optimizer, Training
from ecor_jax.training.step import TrainState, jitted, make_step, split

METHOD = METHODS["ecor"]
RATE = 0.1
"""Learning rate of the timed steps, which use SGD without momentum."""
DROR_TEXTS, TIMED_TEXTS, QUICK_TEXTS = 12_000, 256, 16
"""Number of texts that DROR's released code encodes in every step on ImageNet, and how many of them are timed."""
TOP, LOOP = 5, "a loop over pairs, NumPy"


def evaluate(setting: Setting) -> Suite:
    """Returns a suite that finds the most probable (rationale, class) pairs of each image, from uint8 pixels."""
    model, mesh = setting.open(), make_mesh(devices=jax.devices()[:1])
    batch = _batch(setting, model) | {"mask": np.ones(setting.batch_size, bool)}
    tower, banks = PromptedTower(model, None), _banks(setting, model)
    evaluated = RationaleModel(model, None, banks, mesh)
    alone = compiled(PromptedTower.embed, tower, batch["image"])

    def ours() -> Any:
        with contextlib.redirect_stderr(io.StringIO()):
            answers = predict(
                evaluated, METHOD, [batch], top_k=TOP, mesh=mesh, total=setting.batch_size, calibration=False
            )
        return answers.rationales[0], answers.categories[0], answers.probabilities[0]

    peers = {"our tower alone": Side(lambda: alone.run(batch["image"]), setting.batch_size)}
    if setting.peers:
        single = compiled(PromptedTower.embed, tower, batch["image"][:1])
        numbers = [np.asarray(bank, np.float32) for bank in (banks.outer, banks.pair)]
        scale = float(model.clip.scale())
        peers[LOOP] = Side(lambda: _loop(single.run(batch["image"][:1])[0], numbers, scale), 1)
    outer, inner = banks.sizes
    return Suite(
        f"the top {TOP} pairs of {setting.batch_size} images at once, of {outer * inner:,}; {setting.told()}",
        "image",
        Side(ours, setting.batch_size),
        peers,
        difference=lambda ours, theirs: _pairs_difference(ours, theirs) if isinstance(theirs, tuple) else None,
    )


def choose_pairs(setting: Setting) -> Suite:
    """Returns a suite that finds the most probable pairs for random image embeddings, without the image encoder."""
    model = setting.open()
    banks = _banks(setting, model)
    evaluated = RationaleModel(model, None, banks, make_mesh(devices=jax.devices()[:1]))
    images = _unit(np.random.default_rng(4), setting.batch_size, model.clip.config.embed_dim)

    def chosen(evaluated: RationaleModel, images: jax.Array) -> TopPairs:
        def of_images(examples: tuple[jax.Array], banks: Banks, scale: jax.Array, shards: Shards) -> TopPairs:
            return top_pairs(*examples, banks, scale, TOP, shards)

        return evaluated.shard_map_pairs(of_images, images)

    program = compiled(chosen, evaluated, images)

    def ours() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        outer, inner, log_prob = program.run(images)
        return outer[0], inner[0], np.exp(log_prob[0])

    numbers, scale = [np.asarray(bank, np.float32) for bank in (banks.outer, banks.pair)], float(model.clip.scale())
    outer, inner = banks.sizes
    return Suite(
        f"the top {TOP} of {outer * inner:,} pairs for {setting.batch_size} embeddings at once; {setting.told()}",
        "image",
        Side(ours, setting.batch_size),
        {LOOP: Side(lambda: _loop(images[0], numbers, scale), 1)} if setting.peers else {},
        peak_bytes=program.peak_bytes,
        difference=_pairs_difference,
    )


def train_step(setting: Setting, count: int = 3, layers: str = "shallow") -> Suite:
    """Returns a suite of a prompt tuning step with `count` visual prompts; default: as for small data sets."""
    model, mesh = setting.open(), make_mesh(devices=jax.devices()[:1])
    config = model.clip.config
    prompts = VisualPrompts(config.vision, count, prompt_layers(layers, config.vision.layers), rngs=nnx.Rngs(1))
    banks, batch = _banks(setting, model), _batch(setting, model)
    rationale = RationaleModel(model, prompts, banks, mesh)
    learner = RationaleLearner(rationale, METHOD, None, RationaleLoss(gold="pseudo"))  # pyright: ignore
    optimizer = Optimizer("sgd", RATE, warmup_steps=0, schedule="constant", momentum=0.0)
    options = Training(optimizer=optimizer)
    rule = make_optimizer(optimizer, options.steps)
    graph, *parts = split(learner, options)
    tuned, statistics, frozen = (place(part, mesh) for part in parts)
    frozen = unstack(frozen, mesh)
    state = TrainState(tuned, statistics, rule.init(tuned), jnp.int32(0), jax.random.key_data(jax.random.key(0)))
    traced = jitted(make_step(learner, graph, rule, mesh), state).trace(state, frozen, batch)
    step, states = traced.lower().compile(), [state]

    def ours() -> np.ndarray:
        states[0], metrics = step(states[0], frozen, batch)
        return np.array([float(metrics[name][0]) for name in ("loss", "gradient_norm")])

    outer, inner = banks.sizes
    work = f"a step of {setting.batch_size} images, {count} {layers} prompts, {outer * inner:,} pairs"
    peers = _torch_steps(model, prompts, banks, batch, quick=setting.quick) if setting.peers else {}
    return Suite(
        f"{work}; {setting.told()}",
        "image",
        Side(ours, setting.batch_size),
        peers,
        flops=matrix_flops(traced.jaxpr.jaxpr) / setting.batch_size,
        dtype=setting.dtype,
        peak_bytes=peak_bytes(step),
        difference=lambda ours, theirs: largest_difference(ours / theirs, 1) if len(theirs) == 2 else None,
    )


def _torch_steps(
    model: Model, prompts: VisualPrompts, banks: Banks, batch: Mapping[str, np.ndarray], *, quick: bool
) -> dict[str, Side]:
    from ecor_jax.benchmarks import torch_clip, torch_step

    images, peers = len(batch["image"]), {}
    best = torch_clip.FUSED if quick else torch_clip.COMPILED
    for name in dict.fromkeys((torch_clip.FUSED, best)):
        compiled = name == torch_clip.COMPILED
        peers[name] = Side(torch_step.stepper(model, prompts, banks, batch, rate=RATE, compiled=compiled), images)
    context = model.clip.config.text.context_length
    timed = QUICK_TEXTS if quick else TIMED_TEXTS
    ids = np.random.default_rng(0).integers(1, model.clip.config.text.vocab_size, (timed, context))
    batches = np.array_split(ids, max(1, timed // 64))
    texts = torch_clip.sides(torch_clip.text_embedder, model, batches, compiled=not quick)
    name = f"DROR's way: its {DROR_TEXTS:,} texts a step alone, timed on {timed}"
    return peers | {name: Side(texts[best].run, images * timed / DROR_TEXTS)}


def _batch(setting: Setting, model: Model) -> dict[str, np.ndarray]:
    words, rng = setting.words(), np.random.default_rng(2)
    category = rng.integers(0, len(words.classes), setting.batch_size).astype(np.int32)
    return {"image": pixels(setting, model), "category": category, "rationales": words.gold[category]}


def _banks(setting: Setting, model: Model) -> Banks:
    """Returns banks of random unit vectors, one per pair, because their values do not affect the time."""
    words, rng = setting.words(), np.random.default_rng(3)
    outer, inner, embed = len(words.rationales), len(words.classes), model.clip.config.embed_dim

    pair = page_aligned_zeros((outer, inner, embed), model.clip.vision.dtype)
    for texts in pair:
        texts[...] = _unit(rng, inner, embed)
    return Banks(jnp.asarray(_unit(rng, outer, embed)), jnp.asarray(pair))


def _unit(rng: np.random.Generator, count: int, embed: int) -> np.ndarray:
    vectors = rng.standard_normal((count, embed), np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _loop(image: np.ndarray, banks: Sequence[np.ndarray], scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes the top pairs of an image naively: P(rationale) P(class | rationale) of all pairs in a Python loop."""
    prior, pairs = _softmax(np.array([text @ image for text in banks[0]]) * scale), []
    for number, texts in enumerate(banks[1]):
        given = _softmax(np.array([text @ image for text in texts]) * scale)
        pairs += [(prior[number] * probability, number, other) for other, probability in enumerate(given)]
    best = sorted(pairs, reverse=True)[:TOP]
    probabilities, outer, inner = map(np.array, zip(*best, strict=True))
    return outer, inner, probabilities


def _softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


def _pairs_difference(ours: Any, theirs: Any) -> float:
    """Returns the largest relative difference of the probabilities; infinite if the pairs differ."""
    same = all(np.array_equal(own, other) for own, other in zip(ours[:2], theirs[:2], strict=True))
    return largest_difference(ours[2] / theirs[2], 1) if same else float("inf")

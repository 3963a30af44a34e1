"""The causal test on the built-in drawings: how far probabilities fall if the part that a method names is not drawn.

A method names the rationale of its most probable pair. The drawing is made again without that part, and again without
another part that none of its top pairs names. If the named part is a cause of the answer, the probabilities of the
rationale and of the pair fall further without the named part than without the other one.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from ecor_jax.data.encode import Encode
from ecor_jax.data.pipeline import eval_batches
from ecor_jax.data.procedural import Procedural
from ecor_jax.data.records import Record, Source
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.metrics.bootstrap import means_with_intervals, percent_with_interval
from ecor_jax.parallel.map_batches import map_batches
from ecor_jax.parallel.shards import Shards
from ecor_jax.tasks.batches import own_share
from ecor_jax.tasks.rationale.joint import Banks, marginals
from ecor_jax.tasks.rationale.methods import Order
from ecor_jax.tasks.rationale.model import RationaleModel, log_joint

QUANTITIES = ("rationale", "pair")


class Removal(NamedTuple):
    """A test drawing and its predicted pair, with the named part and the other part that are removed in turn."""

    index: int
    category: str
    named: str
    other: str


class Removals(NamedTuple):
    """The removals of all test drawings.

    undrawn: number of drawings that do not show the named part. single: number of drawings whose top pairs name every
    part that they show, so that there is no other part.
    """

    chosen: tuple[Removal, ...]
    undrawn: int
    single: int


def choose_removals(
    drawings: Procedural,
    categories: Int[np.ndarray, "N k"],
    rationales: Int[np.ndarray, "N k"],
    gold_rationales: Bool[np.ndarray, "N R"],
    vocabulary: Vocabulary,
) -> Removals:
    """Chooses the parts to remove from each drawing, whose top pairs are given, best first.

    The named part is that of the first pair. The other part is drawn but in none of the pairs; of several, the one
    whose visible area is nearest to that of the named part is taken.
    """
    chosen, undrawn, single = [], 0, 0
    for index in range(len(drawings)):
        ids = rationales[index]
        named, texts = vocabulary.rationales[ids[0]], {vocabulary.rationales[r] for r in ids}
        shown = [vocabulary.rationales[r] for r in np.flatnonzero(gold_rationales[index])]
        others = [text for text in shown if text not in texts]
        undrawn += named not in shown
        single += named in shown and not others
        if named in shown and others:
            area = drawings.mask(index, named).sum()
            other = min(others, key=lambda text: abs(int(drawings.mask(index, text).sum()) - area))
            category = vocabulary.classes[categories[index, 0]]
            chosen.append(Removal(index, category, named, other))
    return Removals(tuple(chosen), undrawn, single)


class ChangedDrawings(Source):
    """Three records per removal: the drawing, the drawing without the named part, and without the other part.

    The labels of all three are the predicted pair, whose probabilities `PairProbability` computes.
    """

    def __init__(self, drawings: Procedural, removals: Sequence[Removal]):
        self._drawings, self._removals, self.origin = drawings, removals, drawings.origin
        self.categories = tuple(removal.category for removal in removals for _ in range(3))

    def __getitem__(self, index: int) -> Record:
        removal, kind = self._removals[index // 3], index % 3
        if kind == 0:
            record = self._drawings[removal.index]
        else:
            record = self._drawings.without(removal.index, removal.named if kind == 1 else removal.other)
        labels = {"category": removal.category, "rationales": (removal.named,)}
        return Record(**labels, name=record["name"], image=record["image"])


@dataclasses.dataclass(frozen=True)
class PairProbability:
    """A function that returns P(rationale | I) and P(category, rationale | I) of the pairs that label a batch."""

    order: Order

    def __call__(self, model: RationaleModel, batch: dict[str, Array]) -> Float[Array, "batch 2"]:
        rationale = jnp.argmax(batch["rationales"], axis=1)
        pair = (batch["category"], rationale) if self.order == "category_first" else (rationale, batch["category"])
        return model.shard_map_pairs(self._of_images, model.embed(batch["image"]), *pair)

    def _of_images(self, examples: Any, banks: Banks, scale: Array, shards: Shards) -> Float[Array, "batch 2"]:
        images, outer, inner = examples
        of_outers, of_inners = marginals(images, banks, scale, shards)
        of_outer = jnp.take_along_axis(of_outers, outer[:, None], axis=1)[:, 0]
        pair = outer[:, None], outer[:, None], inner[:, None]
        of_pair = jnp.exp(log_joint((images, *pair), banks, scale, shards))[:, 0]
        of_rationale = shards.at(of_inners, inner) if self.order == "category_first" else of_outer
        return jnp.stack([of_rationale, of_pair], axis=1)


@dataclasses.dataclass(frozen=True)
class CausalTest:
    """The probabilities of each removal: [removals, (drawing, without named, without other), (rationale, pair)]."""

    removals: Removals
    probabilities: Float[np.ndarray, "removals 3 2"]

    @functools.cached_property
    def results(self) -> dict[str, Any]:
        """The mean probabilities and falls with 95 % bootstrap intervals over the drawings, for results.json.

        Falls are absolute differences of probabilities; `difference` is the fall without the named part minus the fall
        without the other part. The means and intervals are None if no drawing could be tested.
        """
        counts = {"pictures": len(self.probabilities), "undrawn": self.removals.undrawn, "single": self.removals.single}
        before, named, other = np.moveaxis(self.probabilities.astype(np.float64), 1, 0)
        figures = {"before": before, "named": before - named, "other": before - other, "difference": other - named}
        means = iter(
            means_with_intervals(np.stack([values[:, column] for column in range(2) for values in figures.values()]))
        )
        return counts | {what: {name: next(means) for name in figures} for what in QUANTITIES}


def causal_test(
    model: RationaleModel,
    order: Order,
    drawings: Procedural,
    predicted: tuple[Int[np.ndarray, "N k"], Int[np.ndarray, "N k"], Bool[np.ndarray, "N R"]],
    vocabulary: Vocabulary,
    encode: Encode,
    mesh: Mesh,
    *,
    batch_size: int,
    workers: int,
    name: str,
) -> CausalTest:
    """Runs the causal test of a method.

    predicted: categories, rationales and gold rationales of all drawings, as for `choose_removals`. encode: encodes
    records and their labels. name: that of the method, for the progress bar.
    """
    removals = choose_removals(drawings, *predicted, vocabulary)
    if not removals.chosen:
        return CausalTest(removals, np.zeros((0, 3, 2), np.float32))
    changed = ChangedDrawings(drawings, removals.chosen)
    batches = eval_batches(changed, encode, batch_size=batch_size, workers=workers, **own_share())
    run = {"total": len(changed), "name": f"causal test of {name}"}
    probabilities = map_batches(PairProbability(order), model, batches, mesh, **run)
    return CausalTest(removals, probabilities.reshape(-1, 3, 2))


def causal_lines(tests: Mapping[str, CausalTest | None]) -> Iterator[str]:
    """Yields the lines of a table of the falls, in percentage points with 95 % intervals; none without a test."""
    results = {name: test.results for name, test in tests.items() if test is not None}
    if results:
        yield f"{'causal test: fall of P':26}{'without the named part':>26}{'without another part':>26}{'count':>8}"
    for name, result in results.items():
        for what in QUANTITIES:
            cells = (f"{percent_with_interval(result[what][part]):>26}" for part in ("named", "other"))
            yield f"{f'{name}, {what}':26}{''.join(cells)}{result['pictures']:8}"

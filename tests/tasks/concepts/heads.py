"""Heads on toy features, as learners, and descriptors."""

import numpy as np
from flax import nnx

from ecor_jax.bottleneck.head import Bottleneck
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.pipeline import train_batches
from ecor_jax.data.records import Arrays
from ecor_jax.tasks.concepts.heads import BlackBox
from ecor_jax.tasks.concepts.model import ConceptsLearner, HeadLoss
from tests.tasks.steps import bottleneck

ROWS, EMBED, CONCEPTS = 32, 8, 6
ONES = np.ones(2, np.float32)
SINGLE = HeadLoss(True, ONES)
HEADS = ("bottleneck", "linear", "mlp")
DESCRIPTORS = Descriptors.from_groups(
    {"no finding": ["clear lungs", "sharp angles"], "effusion": ["a blunt angle", "a meniscus", "fluid"]}, "here"
)
Rows = dict[str, np.ndarray]


def head(kind: str = "bottleneck", *, adapter: bool = True, width: int = 16) -> Bottleneck | BlackBox:
    if kind == "bottleneck":
        return bottleneck(CONCEPTS, EMBED, adapter=4 if adapter else 0)
    return BlackBox(EMBED, width if kind == "mlp" else 0, 2, rngs=nnx.Rngs(0))


def separable() -> Rows:
    """Features to one side of the origin for the first class and to the other for the second, their lengths at random.

    The first half of the concepts goes with the second class, of the rest nothing is known.
    """
    rng = np.random.default_rng(0)
    own = np.arange(ROWS) % 2
    direction = rng.normal(size=EMBED)
    features = np.where(own[:, None] == 1, direction, -direction) + 0.3 * rng.normal(size=(ROWS, EMBED))
    present = np.zeros((ROWS, CONCEPTS), bool)
    present[own == 1, : CONCEPTS // 2] = True
    return {
        "features": (rng.uniform(0.1, 9, (ROWS, 1)) * features).astype(np.float32),
        "target": np.eye(2, dtype=np.float32)[own],
        "present": present,
    }


def task_of(rows: Rows, loss: HeadLoss = SINGLE, kind: str = "bottleneck", **options) -> ConceptsLearner:
    batches = train_batches(Arrays(rows, "the toys"), None, batch_size=16, seed=4)
    return ConceptsLearner(head(kind, **options), batches, loss)

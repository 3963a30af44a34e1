"""Methods with cosines and weights that are given, so that what is made of them can be done by hand."""

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from ecor_jax.bottleneck.head import Bottleneck
from ecor_jax.config.options import defaults, read
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.records import Record
from ecor_jax.data.tally import Tally
from ecor_jax.metrics.scores import score_classes, score_labels
from ecor_jax.tasks.concepts.data import ConceptsDataset, Split
from ecor_jax.tasks.concepts.heads import BlackBox, probabilities
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.concepts.results import Evaluation

DESCRIPTORS = Descriptors.from_groups(
    {"no finding": ["clear lungs", "sharp angles"], "effusion": ["a blunt angle", "a meniscus", "fluid"]}, "here"
)


class Films:
    """What of `Studies` the results and the report ask for."""

    origin = "films"

    def __init__(self, patients: list[str]):
        self.patients = tuple(patients)

    def __len__(self) -> int:
        return len(self.patients)

    def __getitem__(self, number: int) -> Record:
        film = io.BytesIO()
        Image.new("L", (6, 8), 20 * number).save(film, "PNG")
        return Record(image=film.getvalue(), category="", rationales=(), name=f"film {number}.png")


@dataclasses.dataclass(frozen=True)
class Case:
    data: ConceptsDataset
    config: ConceptsOptions

    def row(self, cosines: np.ndarray, typical: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> Evaluation:
        """A bottleneck that has these cosines and weights."""
        concepts, size = kernel.shape
        options: dict[str, Any] = {"scale": 1.0, "size": size, "start": "orthogonal", "use_bias": True}
        head = Bottleneck(np.eye(concepts, dtype=np.float32), None, **options, rngs=nnx.Rngs(0))
        head.aggregation.kernel[...] = jnp.asarray(kernel, jnp.float32)
        assert head.aggregation.bias is not None
        head.aggregation.bias[...] = jnp.asarray(bias, jnp.float32)
        found = probabilities((cosines @ kernel + bias).astype(np.float32), self.config.data.single_label)
        return Evaluation(head, found, cosines.astype(np.float32), typical.astype(np.float32), self._scores(found))

    def black_box(self, found: np.ndarray) -> Evaluation:
        """A black box that has these probabilities."""
        return Evaluation(BlackBox(5, 0, found.shape[1], rngs=nnx.Rngs(0)), found, None, None, self._scores(found))

    def _scores(self, found: np.ndarray):
        test, options = self.data.test, {"resamples": self.config.evaluation.resamples, "seed": self.config.seed}
        if self.config.data.single_label:
            return score_classes(found, np.argmax(test.targets, axis=1), test.patients, "binary", **options)
        return score_labels(found, test.targets, test.patients, self.data.classes, "binary", **options)


@pytest.fixture
def case() -> Callable[..., Case]:
    """Test studies with these targets, patients and phrases; those trained on are the same and do not matter."""

    def build(targets, patients, phrases, *, source: str = "reports", single_label: bool = True) -> Case:
        config = defaults(ConceptsOptions)
        config.concepts.source, config.data.single_label, config.data.name = source, single_label, "films"
        config.evaluation.resamples, config.report.studies = 60, 2
        targets, films = np.asarray(targets, np.float32), Films(list(patients))
        split = Split(films, targets, np.zeros((len(targets), len(DESCRIPTORS.phrases)), bool), phrases, films.patients)  # pyright: ignore
        classes = ("No Finding", "Effusion") if single_label else ("Effusion", "Edema", "Mass")[: targets.shape[1]]
        left_out = ("3 of 9 images: 3 of another view",)
        data = ConceptsDataset(classes, single_label, DESCRIPTORS, None, split, None, split, Tally(left_out))
        return Case(data, read(ConceptsOptions, config))

    return build

"""Classification through descriptors: heads trained on frozen features, judged on other pictures, and explained."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from ecor_jax.bottleneck import Bottleneck, adapter_of
from ecor_jax.checkpoints.bottleneck_dir import Findings, SavedBottleneck, load_bottleneck, save_bottleneck
from ecor_jax.checkpoints.model_dir import Model, load_clip
from ecor_jax.data.captions import Captions
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.pipeline import train_batches
from ecor_jax.data.records import Arrays, Source
from ecor_jax.data.xray.captions import OneFinding, StudyCaptions
from ecor_jax.data.xray.patient_split import check_no_overlap
from ecor_jax.errors import UserError
from ecor_jax.tasks import base
from ecor_jax.tasks.base import Log, Task, check_batch_sizes, compute_dtype
from ecor_jax.tasks.concepts.data import DiagnosisData, open_diagnosis
from ecor_jax.tasks.concepts.encoder import ClipEncoder, DualEncoder, FileEncoder
from ecor_jax.tasks.concepts.model import BlackBox, ConceptsLearner, DiagnosisLoss, class_weights
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.concepts.report import write_report
from ecor_jax.tasks.concepts.results import Row, judged, results_of, table


@dataclasses.dataclass(frozen=True)
class Method:
    """A row of the table; `concept_weight` where it is not the config's."""

    kind: str = "bottleneck"
    push_absent: bool = False
    scrambled: bool = False
    concept_weight: float | None = None


METHODS = {
    "bottleneck": Method(),
    "bottleneck_push_absent": Method(push_absent=True),
    "bottleneck_no_concept_loss": Method(concept_weight=0.0),
    "random_descriptors": Method(scrambled=True),
    "black_box": Method("linear"),
    "black_box_mlp": Method("mlp"),
}


class ConceptBottleneck(Task[ConceptsOptions, Row]):
    """Every method of `options.methods` on the same features; a row's model is its head."""

    Options = ConceptsOptions

    def __init__(self, options: ConceptsOptions, *, training: bool):
        super().__init__(options, training=training)
        self.rows = options.methods
        _check_options(options, training)
        check_batch_sizes(options, self.mesh.shape["data"], training=True)
        self.data: DiagnosisData = open_diagnosis(options)
        if training:
            size, count = options.data.batch_size, len(self.data.train.studies)
            if size > count:
                raise UserError(f"data.batch_size is {size}; there are {count} images to train on")
            for name in self.rows:
                self._loss(METHODS[name])
                self._head(METHODS[name], np.zeros((len(self.data.descriptors.phrases), 1), np.float32))

    @property
    def needs_clip(self) -> bool:
        return not self.options.embeddings

    def captions(self) -> tuple[Source, Captions]:
        """Pictures of the training patients alone, and captions from their labels."""
        return OneFinding(self.data.pretraining, self.data.descriptors.groups), StudyCaptions(self.data.descriptors)

    def open(self, model: str) -> None:
        options = self.options
        self.saved: SavedBottleneck | None = None
        if options.embeddings and self.training:
            self.encoder: DualEncoder = FileEncoder(Path(options.embeddings))
        else:
            if not model:
                raise UserError("--config.model is not set: expected a CLIP, as a model directory or a hub id")
            clip = load_clip(model, dtype=compute_dtype(options.dtype))
            workers, batch_size = options.data.workers, options.evaluation.batch_size
            self.encoder = ClipEncoder(clip, batch_size=batch_size, mesh=self.mesh, workers=workers)
            if not self.training:
                self.rows = ("bottleneck",)
                self.saved = self._stored(clip, model)
        if self.training:
            self.features = self.encoder.images(self.data.train.studies)
        self.tested = self.encoder.images(self.data.test.studies)

    def _stored(self, clip: Model, model: str) -> SavedBottleneck:
        """The bottleneck of a model directory.

        UserError for one of other findings or descriptors, or one that was trained on some of the test's patients.
        """
        saved, data = load_bottleneck(clip), self.data
        findings = saved.findings
        if findings is None:
            raise UserError(f"{model} is a bottleneck for faces; expected one of a diagnosis")
        found, asked = (
            f"{', '.join(names)} ({'one label' if single else 'several labels'})"
            for names, single in (
                (findings.names, findings.single_label),
                (data.classes, self.options.data.single_label),
            )
        )
        if found != asked:
            raise UserError(f"{model} tells {found}; the config names {asked}")
        if saved.descriptors.phrases != data.descriptors.phrases:
            raise UserError(f"{model} has other descriptors than the config; what is present of them is not known")
        tested, known = data.test.studies.patients, set(findings.trained_on)
        seen = [patient for patient, digest in zip(tested, hashed(tested), strict=True) if digest in known]
        check_no_overlap(seen, tested, where=f"{model} and the test images")
        return saved

    def learner(self, row: str) -> ConceptsLearner:
        """The head of a method, to be trained on the features of the training studies."""
        options, method, part = self.options, METHODS[row], self.data.train
        template = options.concepts.template
        bank = self.encoder.texts([template.replace("{d}", phrase) for phrase in self._words(method).phrases])
        columns = {"features": self.features, "target": part.targets, "present": part.present}
        batches = train_batches(
            Arrays(columns, part.studies.origin),
            None,
            batch_size=options.data.batch_size,
            seed=options.seed,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        return ConceptsLearner(self._head(method, bank), batches, self._loss(method))

    def model(self, row: str, trained: nnx.Module | None) -> Bottleneck | BlackBox:
        if trained is None:
            assert self.saved is not None
            return self.saved.bottleneck
        assert isinstance(trained, Bottleneck | BlackBox)
        return trained

    def judge(self, row: str, model: Bottleneck | BlackBox) -> Row:
        if self.saved is not None and self.saved.findings is not None:
            typical = self.saved.findings.typical
        else:
            typical = typical_cosines(model, self.features)
        return judged(model, self.tested, typical, self.data, self.options)

    def save(self, directory: Path, rows: Mapping[str, base.Row[Row]]) -> bool:
        """The first method, if it is a bottleneck over a CLIP."""
        first = rows[self.rows[0]].judgement
        if not isinstance(self.encoder, ClipEncoder) or not isinstance(first.head, Bottleneck) or first.typical is None:
            return False
        patients = tuple(sorted(set(hashed(self.data.pretraining.patients))))
        findings = Findings(self.data.classes, self.options.data.single_label, first.typical, patients)
        template, clip = self.options.concepts.template, self.encoder.model
        saved = SavedBottleneck(clip, first.head, self.data.descriptors, template, "aggregated", None, findings)
        save_bottleneck(directory, saved)
        return True

    def results(self, rows: Mapping[str, base.Row[Row]]) -> dict[str, Any]:
        return results_of({name: row.judgement for name, row in rows.items()}, self.data, self.options)

    def table(self, rows: Mapping[str, base.Row[Row]]) -> str:
        return table({name: row.judgement for name, row in rows.items()})

    def page(
        self, directory: Path, rows: Mapping[str, base.Row[Row]], results: Mapping[str, Any], log: Log
    ) -> Path | None:
        shown = {name: row.judgement for name, row in rows.items()}
        return write_report(directory, self.options, shown, results, self.data, log)

    def _words(self, method: Method) -> Descriptors:
        return self.data.descriptors.scrambled(self.options.seed) if method.scrambled else self.data.descriptors

    def _loss(self, method: Method) -> DiagnosisLoss:
        loss, single, data = self.options.loss, self.options.data.single_label, self.data
        weights = class_weights(data.train.targets, data.classes, single, loss.class_weights == "balanced")
        weight = loss.concept_weight if method.concept_weight is None else method.concept_weight
        if method.kind == "bottleneck" and weight and not self.options.head.adapter.width:
            raise UserError(
                f"head.adapter.width is 0 and loss.concept_weight {weight}: with frozen encoders only an adapter can "
                "move the cosines; set one, or the weight to 0"
            )
        return DiagnosisLoss(single, weights, weight, method.push_absent)

    def _head(self, method: Method, bank: Float[np.ndarray, "concepts embed"]) -> Bottleneck | BlackBox:
        head, rngs, size = self.options.head, nnx.Rngs(self.options.seed), len(self.data.classes)
        if method.kind != "bottleneck":
            return BlackBox(bank.shape[1], head.black_box_width if method.kind == "mlp" else 0, size, rngs=rngs)
        return Bottleneck(
            bank,
            None,
            scale=1.0,
            size=size,
            start=head.start,
            use_bias=head.use_bias,
            adapter=adapter_of(head.adapter, bank.shape[1], rngs),
            rngs=rngs,
        )


def _check_options(options: ConceptsOptions, training: bool) -> None:
    methods = options.methods
    if not methods or set(methods) - set(METHODS):
        raise UserError(f"methods is {','.join(methods)!r}; expected some of {', '.join(METHODS)}")
    if METHODS[methods[0]].scrambled:
        raise UserError(f"methods begins with {methods[0]}; expected one in words: the first is saved and explained")
    if options.model and options.embeddings:
        raise UserError("both --config.model and --config.embeddings are set; expected one of them")
    if training and not (options.model or options.embeddings) and options.concepts.source != "labels":
        raise UserError(
            f"--config.model is not set, and concepts.source is {options.concepts.source!r}; "
            "a CLIP is pretrained on captions from 'labels' alone"
        )


def hashed(patients: Sequence[str]) -> list[str]:
    """What a model directory keeps of the patients' ids: enough to know them again."""
    return [hashlib.sha256(f"patient {patient}".encode()).hexdigest()[:16] for patient in patients]


def typical_cosines(
    head: Bottleneck | BlackBox, features: Float[np.ndarray, "studies embed"]
) -> Float[np.ndarray, "concepts"] | None:
    """Mean cosine of every descriptor; None for a black box."""
    if isinstance(head, BlackBox):
        return None
    return np.asarray(head(jnp.asarray(features)).cosines).mean(axis=0)

"""From a diagnosis config to a workdir: heads trained on frozen features, judged on other patients, and explained."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from ecor_jax.bottleneck import Bottleneck
from ecor_jax.checkpoints.bottleneck_dir import Findings, SavedBottleneck, load_bottleneck, save_bottleneck
from ecor_jax.checkpoints.model_dir import Model, load_clip
from ecor_jax.config import Config, comma_list
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.pipeline import train_batches
from ecor_jax.data.records import Arrays
from ecor_jax.data.xray.captions import OneFinding, StudyCaptions
from ecor_jax.data.xray.patient_split import check_no_overlap
from ecor_jax.errors import UserError
from ecor_jax.metrics.classification import AVERAGES
from ecor_jax.options import check_template
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.base import compute_dtype
from ecor_jax.tasks.common import adapter_of, check_batch_sizes, clip_of
from ecor_jax.tasks.concepts.data import DiagnosisData, open_diagnosis
from ecor_jax.tasks.concepts.encoder import ClipEncoder, DualEncoder, FileEncoder
from ecor_jax.tasks.concepts.model import BlackBox, DiagnosisLoss, DiagnosisTask, class_weights
from ecor_jax.tasks.concepts.report import write_report
from ecor_jax.tasks.concepts.results import judged, results_of, table
from ecor_jax.training.loop import checked_optimizer, train
from ecor_jax.training.workdir import write_results


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


def run(config: Config, workdir: Path) -> None:
    """Trains every method of `config.methods` on the same features and judges it on the same patients.

    Writes model/ (the first method, if it is a bottleneck over a CLIP), results.json and report/; where no model is
    named, clip/ with the one it pretrains first, on the images of the training patients alone.
    """
    setting = Setting(config, training=True)
    data, encoder = setting.data, setting.encoder(workdir)
    features = {"train": encoder.images(data.train.studies), "test": encoder.images(data.test.studies)}
    rows = {}
    for name in setting.methods:
        head = setting.trained(name, encoder, features["train"], workdir)
        rows[name] = judged(head, features["test"], typical_cosines(head, features["train"]), data, config)
    results = results_of(rows, data, config)
    first = rows[setting.methods[0]]
    if jax.process_index() == 0:
        saved = None
        if isinstance(encoder, ClipEncoder) and isinstance(first.head, Bottleneck) and first.typical is not None:
            saved = setting.saved(encoder.model, first.head, first.typical)
            save_bottleneck(workdir / "model", saved)
        write_results(workdir / "results.json", config, results)
        write_report(workdir / "report", config, rows, results, data, workdir, saved is not None)
    print(table(rows))


def evaluate(config: Config, model: str) -> tuple[dict[str, Any], str]:
    """results.json and a table of a trained bottleneck on the patients that the config keeps for the test.

    UserError for a model of other findings or descriptors, or one that was trained on some of these patients.
    """
    setting = Setting(config, training=False)
    saved, data = load_bottleneck(load_clip(model, dtype=compute_dtype(config.dtype))), setting.data
    findings = saved.findings
    if findings is None:
        raise UserError(f"{model} is a bottleneck for faces; expected one of a diagnosis")
    found, asked = (
        f"{', '.join(names)} ({'one label' if single else 'several labels'})"
        for names, single in ((findings.names, findings.single_label), (data.classes, config.data.single_label))
    )
    if found != asked:
        raise UserError(f"{model} tells {found}; the config names {asked}")
    if saved.descriptors.phrases != data.descriptors.phrases:
        raise UserError(f"{model} has other descriptors than the config; what is present of them is not known")
    tested, known = data.test.studies.patients, set(findings.trained_on)
    seen = [patient for patient, digest in zip(tested, hashed(tested), strict=True) if digest in known]
    check_no_overlap(seen, tested, where=f"{model} and the test images")
    features = setting.clip_encoder(saved.model).images(data.test.studies)
    rows = {"bottleneck": judged(saved.bottleneck, features, findings.typical, data, config)}
    return results_of(rows, data, config), table(rows)


class Setting:
    """What a config says, checked before anything heavy begins, and the heads it asks for."""

    def __init__(self, config: Config, training: bool):
        self.config, self.mesh = config, make_mesh(config.parallel.model)
        self.methods = tuple(dict.fromkeys(comma_list(config.methods)))
        _check_options(config, self.methods, training)
        check_batch_sizes(config, self.mesh)
        self.data: DiagnosisData = open_diagnosis(config)
        if training:
            self._check_training()

    def _check_training(self) -> None:
        size, count = self.config.data.batch_size, len(self.data.train.studies)
        if size > count:
            raise UserError(f"data.batch_size is {size}; there are {count} images to train on")
        for name in self.methods:
            self._loss(METHODS[name])
            self._head(METHODS[name], np.zeros((len(self.data.descriptors.phrases), 1), np.float32))

    def encoder(self, workdir: Path) -> DualEncoder:
        """The one that the config names; else a CLIP pretrained below the workdir."""
        config, descriptors = self.config, self.data.descriptors
        if config.embeddings:
            return FileEncoder(Path(config.embeddings))
        captioned = None
        if not config.model:
            captioned = OneFinding(self.data.pretraining, descriptors.groups), StudyCaptions(descriptors)
        return self.clip_encoder(clip_of(config, workdir, captioned))

    def clip_encoder(self, model: Model) -> ClipEncoder:
        """A CLIP, to encode as the config says."""
        config = self.config
        return ClipEncoder(model, batch_size=config.evaluation.batch_size, mesh=self.mesh, workers=config.data.workers)

    def trained(
        self, name: str, encoder: DualEncoder, features: Float[np.ndarray, "studies embed"], workdir: Path
    ) -> Bottleneck | BlackBox:
        """The head of a method, trained on the features of the training studies."""
        config, method, part = self.config, METHODS[name], self.data.train
        template = config.concepts.template
        bank = encoder.texts([template.replace("{d}", phrase) for phrase in self.words(method).phrases])
        columns = {"features": features, "target": part.targets, "present": part.present}
        batches = train_batches(
            Arrays(columns, part.studies.origin),
            None,
            batch_size=config.data.batch_size,
            seed=config.seed,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        head = train(DiagnosisTask(self._head(method, bank), batches, self._loss(method)), config, workdir, name)
        assert isinstance(head, Bottleneck | BlackBox)
        return head

    def words(self, method: Method) -> Descriptors:
        """The descriptors of a method."""
        return self.data.descriptors.scrambled(self.config.seed) if method.scrambled else self.data.descriptors

    def saved(self, model: Model, head: Bottleneck, typical: Float[np.ndarray, "concepts"]) -> SavedBottleneck:
        """A trained bottleneck as a model directory holds it."""
        patients = tuple(sorted(set(hashed(self.data.pretraining.patients))))
        findings = Findings(self.data.classes, self.config.data.single_label, typical, patients)
        template = self.config.concepts.template
        return SavedBottleneck(model, head, self.data.descriptors, template, "aggregated", None, findings)

    def _loss(self, method: Method) -> DiagnosisLoss:
        loss, single, data = self.config.loss, self.config.data.single_label, self.data
        weights = class_weights(data.train.targets, data.classes, single, loss.class_weights == "balanced")
        weight = loss.concept_weight if method.concept_weight is None else method.concept_weight
        if method.kind == "bottleneck" and weight and not self.config.head.adapter.width:
            raise UserError(
                f"head.adapter.width is 0 and loss.concept_weight {weight}: with frozen encoders only an adapter can "
                "move the cosines; set one, or the weight to 0"
            )
        return DiagnosisLoss(single, weights, weight, method.push_absent)

    def _head(self, method: Method, bank: Float[np.ndarray, "concepts embed"]) -> Bottleneck | BlackBox:
        head, rngs, size = self.config.head, nnx.Rngs(self.config.seed), len(self.data.classes)
        if method.kind != "bottleneck":
            return BlackBox(bank.shape[1], head.black_box_width if method.kind == "mlp" else 0, size, rngs=rngs)
        adapter = adapter_of(head.adapter, bank.shape[1], rngs)
        options = {"scale": 1.0, "size": size, "start": head.start, "use_bias": head.use_bias}
        return Bottleneck(bank, None, **options, adapter=adapter, rngs=rngs)


def _check_options(config: Config, methods: Sequence[str], training: bool) -> None:
    if not methods or set(methods) - set(METHODS):
        raise UserError(f"methods is {config.methods!r}; expected some of {', '.join(METHODS)}")
    if METHODS[methods[0]].scrambled:
        raise UserError(f"methods begins with {methods[0]}; expected one in words: the first is saved and explained")
    if config.loss.class_weights not in ("balanced", "none"):
        raise UserError(f"loss.class_weights is {config.loss.class_weights!r}; expected 'balanced' or 'none'")
    check_template(config.concepts.template, "d", "concepts.template", needed=True)
    if config.model and config.embeddings:
        raise UserError("both --config.model and --config.embeddings are set; expected one of them")
    if training and not (config.model or config.embeddings) and config.concepts.source != "labels":
        raise UserError(
            f"--config.model is not set, and concepts.source is {config.concepts.source!r}; "
            "a CLIP is pretrained on captions from 'labels' alone"
        )
    evaluation = config.evaluation
    if evaluation.average not in AVERAGES:
        raise UserError(f"evaluation.average is {evaluation.average!r}; expected one of {', '.join(AVERAGES)}")
    compute_dtype(config.dtype)
    checked_optimizer(config)


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

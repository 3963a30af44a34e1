"""The concepts task, classification through descriptors: trains, evaluates and saves heads on frozen features."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from ecor_jax.bottleneck.directory import (
    Findings,
    SavedBottleneck,
    has_findings,
    is_bottleneck,
    load_bottleneck,
    save_bottleneck,
)
from ecor_jax.bottleneck.head import Bottleneck, adapter_of
from ecor_jax.checkpoints.model_dir import Model, load_clip
from ecor_jax.data.captions import Captions
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.procedural import Procedural
from ecor_jax.data.records import Arrays, Source
from ecor_jax.errors import UserError
from ecor_jax.features.encoders import ClipEncoder, DualEncoder, FileEncoder
from ecor_jax.parallel.processes import assert_same
from ecor_jax.radiology.xray.patient_split import check_no_overlap
from ecor_jax.tasks.base import Log, MethodResult, Task, check_batch_sizes
from ecor_jax.tasks.batches import batches_of
from ecor_jax.tasks.concepts.data import ConceptsDataset
from ecor_jax.tasks.concepts.explain import ConceptExplainer
from ecor_jax.tasks.concepts.heads import BlackBox, ClassNames, Head, mean_descriptors
from ecor_jax.tasks.concepts.measures import Measured, check_measures, measured
from ecor_jax.tasks.concepts.model import ConceptsLearner, HeadLoss, class_weights
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.concepts.parts import check_parts
from ecor_jax.tasks.concepts.report import write_report
from ecor_jax.tasks.concepts.results import Evaluation, average_of, evaluated, results_of, table
from ecor_jax.tasks.outcomes import Outcomes
from ecor_jax.tasks.splits import PROCEDURAL
from ecor_jax.training.loop import Validate


@dataclasses.dataclass(frozen=True)
class Method:
    """The description of a head. concept_weight: replaces that of the config.

    kind: a trained head ('bottleneck', 'linear', 'mlp'), or an untrained one ('class_names', 'mean_descriptors').
    scrambled: whether random letters replace the words of the descriptors.
    """

    kind: str = "bottleneck"
    push_absent: bool = False
    scrambled: bool = False
    concept_weight: float | None = None

    @property
    def trained(self) -> bool:
        return self.kind not in ("class_names", "mean_descriptors")


METHODS = {
    "bottleneck": Method(),
    "bottleneck_push_absent": Method(push_absent=True),
    "bottleneck_no_concept_loss": Method(concept_weight=0.0),
    "random_descriptors": Method(scrambled=True),
    "black_box": Method("linear"),
    "black_box_mlp": Method("mlp"),
    "zero_shot": Method("class_names"),
    "mean_descriptors": Method("mean_descriptors"),
    "mean_random_descriptors": Method("mean_descriptors", scrambled=True),
}
"""'black_box' is also known as linear probe; 'mean_random_descriptors' is WaffleCLIP (Roth et al. 2023)."""


def open_data(options: ConceptsOptions) -> ConceptsDataset:
    """Opens the dataset that the options `data` and `concepts` describe. Raises UserError for an invalid option."""
    # Imported late, because each kind needs packages that the other does not need.
    if options.data.kind == "xrays":
        from ecor_jax.tasks.concepts.xrays import open_xrays

        return open_xrays(options)
    from ecor_jax.tasks.concepts.pictures import open_pictures

    return open_pictures(options)


class ConceptBottleneck(Task[ConceptsOptions, Evaluation]):
    """Compares the methods of `options.methods` on the same features; the model of a method is its head."""

    Options = ConceptsOptions

    def __init__(self, options: ConceptsOptions, *, training: bool):
        super().__init__(options, training=training)
        self.methods = options.methods
        _check_options(options, training)
        check_batch_sizes(options, self.mesh.size, training=training)
        self.data: ConceptsDataset = open_data(options)
        self.tally = self.data.tally
        assert_same("the data", self.data.fingerprint)
        average_of(self.data, options)
        check_measures(options.evaluation.measures, self.data, training=training)
        for name in self.methods:
            if not METHODS[name].trained and not (self.data.exclusive and self.data.of_class is not None):
                raise UserError(f"methods has {name}, which is for classes of their own descriptors, one a picture")
        if training:
            size, count = options.data.batch_size, len(self.data.train.pictures)
            if size > count:
                raise UserError(f"data.batch_size is {size}; there are {count} images to train on")
            for name in self.methods:
                if METHODS[name].trained:
                    self._loss(METHODS[name])
                    self._fresh(METHODS[name], np.zeros((len(self.data.descriptors.phrases), 1), np.float32))

    @property
    def needs_clip(self) -> bool:
        return not self.options.embeddings

    def captions(self) -> tuple[Source, Captions] | None:
        """Returns, for X-rays, only pictures of training patients, with captions made from their labels."""
        return self.data.captions

    def open(self, model: str) -> None:
        options, data = self.options, self.data
        self.saved: SavedBottleneck | None = None
        if options.embeddings and self.training:
            self.encoder: DualEncoder = FileEncoder(Path(options.embeddings))
        else:
            if not model:
                raise UserError("--config.model is not set: expected a CLIP, as a model directory or a hub id")
            clip = load_clip(model, dtype=jnp.dtype(options.dtype))
            self.origin = clip.origin
            workers, batch_size = options.data.workers, options.evaluation.batch_size
            self.encoder = ClipEncoder(clip, batch_size=batch_size, mesh=self.mesh, workers=workers, keep=True)
            if not self.training:
                untrained = [name for name in self.methods if not METHODS[name].trained]
                if untrained and not is_bottleneck(clip.path):
                    self.methods = untrained
                else:
                    self.methods, self.saved = ("bottleneck",), self._stored(clip, model)
        if self.training:
            if "parts" in options.evaluation.measures and isinstance(data.test.pictures, Procedural):
                check_parts(self.encoder, data.descriptors.phrases, data.test.pictures.size)
            self.features = self.encoder.encode_source(data.train.pictures)
            if data.validation is not None:
                self.validation = self.encoder.encode_source(data.validation.pictures)
        self.tested = self.encoder.encode_source(data.test.pictures)

    def _stored(self, clip: Model, model: str) -> SavedBottleneck:
        """Loads the bottleneck of a model directory.

        Raises UserError if its findings or descriptors differ from the config's, or if it was trained on test patients.
        """
        saved, data = load_bottleneck(clip), self.data
        findings = saved.findings
        if findings is None:
            raise UserError(f"{model} is a bottleneck for faces; expected one of a classification")
        known, asked = (
            f"{', '.join(names)} ({'one label' if single else 'several labels'})"
            for names, single in ((findings.names, findings.single_label), (data.classes, data.exclusive))
        )
        if known != asked:
            raise UserError(f"{model} tells {known}; the config names {asked}")
        if saved.descriptors.phrases != data.descriptors.phrases:
            raise UserError(f"{model} has other descriptors than the config; what is present of them is not known")
        if (tested := data.test.patients) is not None:
            digests = set(findings.trained_on)
            seen = [patient for patient, digest in zip(tested, hashed(tested), strict=True) if digest in digests]
            check_no_overlap(seen, tested, where=f"{model} and the test images")
        return saved

    def learner(self, method: str) -> ConceptsLearner | None:
        """Returns a learner of the method's head on the features of the training pictures; None if it is untrained."""
        kind, split = METHODS[method], self.data.train
        if not kind.trained:
            return None
        columns = {"features": self.features, "target": split.targets, "present": split.present}
        batches = batches_of(self.options, Arrays(columns, split.pictures.origin))
        return ConceptsLearner(self._fresh(kind, self._bank(kind)), batches, self._loss(kind))

    def validate(self, method: str) -> Validate | None:
        split = self.data.validation
        if split is None:
            return None

        def scores_of(head: nnx.Module) -> dict[str, float]:
            assert isinstance(head, Head)
            without = dataclasses.replace(split, patients=None)  # omits the intervals
            scores = evaluated(head, self.validation, None, without, self.data, self.options).main
            numbers = {name: getattr(scores, name) for name in ("accuracy", "f1", "auroc", "brier")}
            return {name: value for name, value in numbers.items() if value is not None}

        return scores_of

    def model(self, method: str, trained: nnx.Module | None) -> Head:
        if trained is not None:
            assert isinstance(trained, Head)
            return trained
        if self.saved is not None:
            return self.saved.bottleneck
        kind, data = METHODS[method], self.data
        assert data.of_class is not None
        if kind.kind == "class_names":
            template = self.options.concepts.class_template
            prompts = [template.replace("{c}", name) for name in data.classes]
            return ClassNames(self.encoder.encode_text(prompts), self.encoder.scale)
        return mean_descriptors(self._bank(kind), data.of_class, self.encoder.scale)

    def evaluate(self, method: str, model: Head) -> Evaluation:
        typical = None
        if self.saved is not None and self.saved.findings is not None:
            typical = self.saved.findings.typical
        elif self.training and isinstance(model, Bottleneck):
            typical = np.asarray(model(jnp.asarray(self.features)).cosines).mean(axis=0)
        found = evaluated(model, self.tested, typical, self.data.test, self.data, self.options)
        names = self.options.evaluation.measures
        if not names or not self.training or not isinstance(model, Bottleneck):
            return found
        seed, penalty = self.options.seed, self.options.evaluation.penalty
        of = Measured(model, self.data, self.features, self.tested, self.encoder, seed, penalty)
        return dataclasses.replace(found, measures=measured(names, of))

    def save(self, directory: Path, evaluated: Mapping[str, MethodResult[Evaluation]]) -> bool:
        """Saves the head of the first method, if it is a bottleneck over a CLIP."""
        first = next(iter(evaluated.values())).evaluation
        if not isinstance(self.encoder, ClipEncoder) or not isinstance(first.head, Bottleneck) or first.typical is None:
            return False
        data = self.data
        patients = tuple(sorted(set(hashed(data.trained_on))))
        medical = data.test.patients is not None
        findings = Findings(data.classes, data.exclusive, first.typical, patients, medical)
        template, clip = self.options.concepts.template, self.encoder.model
        saved = SavedBottleneck(clip, first.head, data.descriptors, template, "aggregated", None, findings)
        save_bottleneck(directory, saved)
        return True

    def results(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> dict[str, Any]:
        return results_of({name: own.evaluation for name, own in evaluated.items()}, self.data, self.options)

    def table(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> str:
        return table({name: own.evaluation for name, own in evaluated.items()})

    def page(
        self, directory: Path, evaluated: Mapping[str, MethodResult[Evaluation]], results: Mapping[str, Any], log: Log
    ) -> Path:
        shown = {name: own.evaluation for name, own in evaluated.items()}
        clip = self.encoder.model if isinstance(self.encoder, ClipEncoder) else None
        return write_report(directory, self.options, shown, results, self.data, log, clip)

    def answers(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> Iterator[dict[str, Any]]:
        """Yields the labels of each test picture, and the probability of each class by every method."""
        data = self.data
        for number, name in enumerate(data.test.pictures.names):
            targets = dict(zip(data.classes, data.test.targets[number].tolist(), strict=True))
            yield {
                "name": name,
                "labels": {label: None if np.isnan(target) else target == 1 for label, target in targets.items()},
                "methods": {
                    name: dict(zip(data.classes, own.evaluation.probabilities[number].tolist(), strict=True))
                    for name, own in evaluated.items()
                },
            }

    def outcomes(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> dict[str, Outcomes]:
        """Returns the accuracies of classes; a finding of several that are independent has an accuracy of its own."""
        test = self.data.test
        if not self.data.exclusive:
            return {}
        gold = np.argmax(test.targets, axis=1)
        # Drawings of another seed have the same names.
        drawn = f"{self.options.data.seed} " if self.options.data.images == PROCEDURAL else ""
        examples = tuple(drawn + name for name in (test.pictures.names if test.patients is None else test.patients))
        found = {}
        for name, own in evaluated.items():
            right = np.argmax(own.evaluation.probabilities, axis=1) == gold
            by_measure: dict[str, dict[str, np.ndarray]] = {"": {"accuracy": right}}
            for path, values in own.evaluation.measures.items():
                measure, _, metric = path.partition(".")
                by_measure.setdefault(f".{measure}", {})[metric] = values
            for measure, own in by_measure.items():
                count = len(next(iter(own.values())))  # a measure may be of the first pictures alone
                found[f"methods.{name}{measure}"] = Outcomes.of(examples[:count], own)
        return found

    @classmethod
    def holds(cls, directory: Path) -> bool:
        return is_bottleneck(directory) and has_findings(directory)

    @classmethod
    def explainer(cls, model: str) -> ConceptExplainer:
        return ConceptExplainer(load_bottleneck(load_clip(model)))

    def _bank(self, method: Method) -> Float[np.ndarray, "concepts embed"]:
        words: Descriptors = self.data.descriptors
        words = words.scrambled(self.options.seed) if method.scrambled else words
        return self.encoder.encode_text(words.prompts(self.options.concepts.template))

    def _loss(self, method: Method) -> HeadLoss:
        loss, single, data = self.options.loss, self.data.exclusive, self.data
        weights = class_weights(data.train.targets, data.classes, single, loss.class_weights == "balanced")
        weight = loss.concept_weight if method.concept_weight is None else method.concept_weight
        if method.kind == "bottleneck" and weight and not self.options.head.adapter.width:
            raise UserError(
                f"head.adapter.width is 0 and loss.concept_weight {weight}: with frozen encoders only an adapter can "
                "move the cosines; set one, or the weight to 0"
            )
        return HeadLoss(single, weights, weight, method.push_absent)

    def _fresh(self, method: Method, bank: Float[np.ndarray, "concepts embed"]) -> Bottleneck | BlackBox:
        head, rngs, size = self.options.head, nnx.Rngs(self.options.seed), len(self.data.classes)
        if method.kind != "bottleneck":
            return BlackBox(bank.shape[1], head.black_box_width if method.kind == "mlp" else 0, size, rngs=rngs)
        adapter = adapter_of(head.adapter, bank.shape[1], rngs)
        return Bottleneck(
            bank, None, scale=1.0, size=size, init=head.init, use_bias=head.use_bias, adapter=adapter, rngs=rngs
        )


def _check_options(options: ConceptsOptions, training: bool) -> None:
    methods = options.methods
    if not methods or set(methods) - set(METHODS):
        raise UserError(f"methods is {','.join(methods)!r}; expected some of {', '.join(METHODS)}")
    if METHODS[methods[0]].scrambled:
        raise UserError(f"methods begins with {methods[0]}; expected one in words: the first is saved and explained")
    if options.report.saliency and options.embeddings:
        raise UserError(
            f"report.saliency is set, and {options.embeddings} is a file of embeddings; saliency maps need the encoder"
        )
    if options.model and options.embeddings:
        raise UserError("both --config.model and --config.embeddings are set; expected one of them")
    if training and not (options.model or options.embeddings) and options.concepts.source != "labels":
        raise UserError(
            f"--config.model is not set, and concepts.source is {options.concepts.source!r}; "
            "a CLIP is pretrained on captions from 'labels' alone"
        )


def hashed(patients: Sequence[str]) -> list[str]:
    """Returns hashes of the patients' ids, which a model directory stores to recognise patients of its training."""
    return [hashlib.sha256(f"patient {patient}".encode()).hexdigest()[:16] for patient in patients]

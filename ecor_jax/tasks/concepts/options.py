"""The options of the concepts task: classification through descriptors."""

import dataclasses
from typing import Annotated, Literal

from ecor_jax.bottleneck.head import AdapterOptions
from ecor_jax.config.options import (
    Count,
    EvaluationBatchSize,
    Names,
    Placeholders,
    Positive,
    Share,
    Shown,
    Weight,
    Within,
)
from ecor_jax.tasks.pretrain.options import ClipTaskOptions
from ecor_jax.tasks.splits import LabelledPictures
from ecor_jax.training.options import Optimizer


@dataclasses.dataclass(frozen=True)
class Concepts:
    """The source of the descriptors, and their prompts.

    source: 'labels', a picture has the descriptors of its classes; 'reports', those that its report states.
    descriptors: for labels: a file {class: [descriptor, ...]} in a format of docs/formats.md; for X-rays a file
      {"groups": {finding: [descriptor, ...]}}, or 'xrays', the built-in one.
    statements: for reports: statements.jsonl of `ecor-jax descriptors`; empty: rules split the reports.
    sections: the sections of a report that the rules read.
    min_reports: minimum number of reports that state a descriptor. max_descriptors: maximum number of descriptors; the
      most frequent ones are kept.
    template: the prompt; {d} is the descriptor. With {c}, its class, equal descriptors of two classes are two concepts;
      without it, they are one.
    class_template: the prompt of the method zero_shot; {c} is the class.
    """

    source: Literal["labels", "reports"] = "labels"
    descriptors: str = "xrays"
    statements: str = ""
    sections: Literal["findings+impression", "last"] = "findings+impression"
    min_reports: Positive = 10
    max_descriptors: Annotated[int, Within(1, 10**6)] = 200
    template: Annotated[str, Placeholders("dc", needed="d")] = "{d}"
    class_template: Annotated[str, Placeholders("c", needed="c")] = "a photo of a {c}."


@dataclasses.dataclass(frozen=True)
class Head:
    """init: initial aggregation matrix. use_bias: of the aggregation. black_box_width: hidden size of black_box_mlp."""

    adapter: AdapterOptions = AdapterOptions(width=32, alpha=0.5, last_relu=False)
    init: Literal["zeros", "orthogonal"] = "zeros"
    use_bias: bool = True
    black_box_width: Annotated[int, Within(1, 2**16)] = 64


@dataclasses.dataclass(frozen=True)
class ConceptsLoss:
    """concept_weight: weight of the concept loss; 2 in the paper. class_weights: 'balanced' favours rare classes."""

    concept_weight: Weight = 2.0
    class_weights: Literal["none", "balanced"] = "none"


@dataclasses.dataclass(frozen=True)
class ConceptsData(LabelledPictures):
    """Labelled pictures.

    kind: any 'pictures' (`tasks.splits`), or 'xrays': NIH's or MIMIC's chest X-rays, split by patient.
    single_label: whether the classes are exclusive; else a picture has any number of labels.
    on_missing: 'error', or 'skip' (or 'allow', which is the same): omits classes that only the pictures or only the
      descriptors have; for X-rays, omits listed images that do not exist.
    validation: for X-rays a share of the training patients, or the name of an official split.

    For X-rays only:
    images: a folder or zip; for MIMIC-CXR-JPG the folder that contains files/. tables: NIH's csv of labels, or the
      folder of MIMIC's tables. reports: MIMIC's folder of reports, if it differs from that of the images.
    findings: columns of the tables; with single_label two classes, the positive last. views: those to use; empty: all.
    uncertain: uncertain labels are unknown ('drop'), negative ('zeros') or positive ('ones').
    patients: number of patients to draw at random among those with selected images; 0: all.
    test: share of the patients in the test split; 0: the official split.
    """

    kind: Literal["pictures", "xrays"] = "pictures"
    single_label: bool = True
    on_missing: Literal["error", "skip", "allow"] = "error"  # pyright: ignore[reportIncompatibleVariableOverride]
    tables: str = ""
    reports: str = ""
    findings: Names = ("No Finding", "Effusion")
    views: Names = ()
    uncertain: Literal["drop", "zeros", "ones"] = "drop"
    patients: Count = 0
    test: Share = 0.3


@dataclasses.dataclass(frozen=True)
class ConceptsEvaluation:
    """average: of precision, recall and F1; 'auto': macro for more than two exclusive classes, else binary.

    batch_size: pictures that are evaluated at once.
    resamples: number of resamples of the bootstrap over patients. explained: number of descriptors per explanation.
    measures: names of MEASURES in tasks/concepts/measures.py, with commas, for the bottlenecks among the methods.
    penalty: L1 penalty of the measure decomposition; 0.25 is the default of SpLiCE's package.
    """

    batch_size: EvaluationBatchSize = 64
    average: Literal["auto", "binary", "weighted", "macro"] = "auto"
    resamples: Annotated[int, Within(1, 10**6)] = 2000
    explained: Annotated[int, Within(1, 10**6)] = 5
    measures: Names = ()
    penalty: Annotated[float, Within(0, 1)] = 0.25


@dataclasses.dataclass(frozen=True)
class ConceptsReport:
    """studies: number of pictures in the report. saliency: whether they have saliency maps."""

    studies: Shown = 12
    saliency: bool = False


@dataclasses.dataclass(frozen=True)
class ConceptsOptions(ClipTaskOptions):
    """embeddings: a file of another dual encoder's embeddings (features/encoders.py), instead of a model.

    methods: names of METHODS in tasks/concepts/task.py, with commas; the first is saved and explained.
    """

    task: str = "concepts"
    embeddings: str = ""
    methods: Names = ("bottleneck", "bottleneck_push_absent", "random_descriptors", "black_box", "black_box_mlp")
    concepts: Concepts = Concepts()
    head: Head = Head()
    loss: ConceptsLoss = ConceptsLoss()
    data: ConceptsData = ConceptsData()
    optimizer: Optimizer = Optimizer(learning_rate=5e-3, warmup_steps=0, schedule="constant")
    evaluation: ConceptsEvaluation = ConceptsEvaluation()
    report: ConceptsReport = ConceptsReport()

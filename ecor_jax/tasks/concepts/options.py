"""The options of classification through descriptors."""

import dataclasses
from typing import Annotated, Literal

from ecor_jax.bottleneck.head import AdapterOptions
from ecor_jax.config.options import (
    Braces,
    Count,
    EvaluationBatchSize,
    Names,
    Positive,
    Share,
    Shown,
    Weight,
    Within,
)
from ecor_jax.tasks.pretrain.options import OnClip
from ecor_jax.tasks.splits import LabelledPictures
from ecor_jax.training.options import Optimizer


@dataclasses.dataclass(frozen=True)
class Concepts:
    """Where the descriptors come from.

    source: 'labels', the descriptors of a picture's classes hold of it; 'reports', those that its report states.
    descriptors: of labels: a file {class: [descriptor, ...]} in a form of docs/formats.md, of X-rays
      {"groups": {finding: [descriptor, ...]}};
      'xrays', the built-in ones of X-rays.
    statements: of reports: statements.jsonl of ecor-jax descriptors; empty: the rules split the reports.
    sections: the sections of a report that the rules read.
    min_reports: reports that must state a descriptor. max_descriptors: how many are kept, the most frequent ones.
    template: the prompt; {d} is the descriptor. With {c}, its class, every class has its descriptors for itself;
      without, classes share the descriptors that they have in common.
    class_template: the prompt of zero_shot.
    """

    source: Literal["labels", "reports"] = "labels"
    descriptors: str = "xrays"
    statements: str = ""
    sections: Literal["findings+impression", "last"] = "findings+impression"
    min_reports: Positive = 10
    max_descriptors: Annotated[int, Within(1, 10**6)] = 200
    template: Annotated[str, Braces("dc", needed="d")] = "{d}"
    class_template: Annotated[str, Braces("c", needed="c")] = "a photo of a {c}."


@dataclasses.dataclass(frozen=True)
class Head:
    """init: of the aggregation matrix. black_box_width: of the hidden layer of black_box_mlp."""

    adapter: AdapterOptions = AdapterOptions(width=32, alpha=0.5, last_relu=False)
    init: Literal["zeros", "orthogonal"] = "zeros"
    use_bias: bool = True
    black_box_width: Annotated[int, Within(1, 2**16)] = 64


@dataclasses.dataclass(frozen=True)
class ConceptsLoss:
    """concept_weight: of the concept loss; 2 in the paper. class_weights: 'balanced' shifts the probabilities."""

    concept_weight: Weight = 2.0
    class_weights: Literal["none", "balanced"] = "none"


@dataclasses.dataclass(frozen=True)
class ConceptsData(LabelledPictures):
    """Labelled pictures.

    kind: any 'pictures' (`data.parts`), or 'xrays': NIH's or MIMIC's chest X-rays, split by patient.
    single_label: the classes exclude each other; else a picture has any number of labels.
    on_missing: 'error', or leave out ('skip', 'allow') classes that only the pictures or only the descriptors have; of
      X-rays, listed images that do not exist.
    validation: of X-rays a share of the training patients, or an official split's name.

    Of X-rays alone:
    images: a folder or zip; of MIMIC-CXR-JPG the folder that holds files/. tables: NIH's csv of labels, or the folder
      of MIMIC's tables. reports: MIMIC's folder of reports, if it is another than that of the images.
    findings: columns of the tables; of a single label the classes, the positive last. views: with commas; empty: all.
    uncertain: what becomes of uncertain labels. patients: drawn of those with such images; 0: all.
    test: share of the patients; 0: the official split.
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
    """average: of precision, recall and F1; 'auto', of one label or the last of two classes, macro of more classes.

    resamples: of the bootstrap over patients. explained: reasons given for an answer.
    """

    batch_size: EvaluationBatchSize = 64
    average: Literal["auto", "binary", "weighted", "macro"] = "auto"
    resamples: Annotated[int, Within(1, 10**6)] = 2000
    explained: Annotated[int, Within(1, 10**6)] = 5


@dataclasses.dataclass(frozen=True)
class ConceptsReport:
    """studies: pictures that the report shows."""

    studies: Shown = 12


@dataclasses.dataclass(frozen=True)
class ConceptsOptions(OnClip):
    """embeddings: instead of a model, a file of another dual encoder's embeddings (features/encoders.py).

    methods: some of METHODS in tasks/concepts/task.py; the first is saved and explained.
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

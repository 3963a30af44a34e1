"""The options of face verification through descriptors."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Literal

from ecor_jax.bottleneck.head import AdapterOptions
from ecor_jax.config.options import (
    BatchSize,
    Braces,
    Count,
    EvaluationBatchSize,
    Names,
    OnBad,
    Seed,
    Share,
    Shown,
    Within,
    Workers,
)
from ecor_jax.tasks.pretrain.options import OnClip
from ecor_jax.training.options import Optimizer


@dataclasses.dataclass(frozen=True)
class BottleneckOptions:
    """The head (`bottleneck.Bottleneck`), and what of the model is trained.

    descriptors: 'faces', the built-in 120, or a JSON file {"groups": {group: [descriptor, ...]}}.
    scrambled: random letters in the place of their words, as a control.
    output: what decides: the CLIP's features, the descriptors' activations, or these aggregated.
    scale: what cosines are multiplied by before the softmax within groups; 0: the CLIP's own logit scale.
    size: dimensions of the aggregated embedding; 0: one for each descriptor.
    init: of the aggregation matrix.
    tuned: nothing, or some of aggregation, adapter, last_mlp, last_block (of the residual blocks), projection (CLIP's),
      pool (SigLIP's attention pooling), encoder.
    wise_ft: share of the tuned weights in the mean with the untuned ones (WiSE-FT); 1: the tuned weights.
    """

    descriptors: str = "faces"
    scrambled: bool = False
    template: Annotated[str, Braces("d", needed="d")] = "a photo of a person with {d}"
    output: Literal["features", "activations", "aggregated"] = "aggregated"
    scale: Annotated[float, Within(0, 1e4)] = 0.0
    size: Annotated[int, Within(0, 2**16)] = 0
    init: Literal["identity", "orthogonal"] = "identity"
    use_bias: bool = False
    adapter: AdapterOptions = AdapterOptions()
    tuned: Names = ("last_mlp", "aggregation")
    wise_ft: Annotated[float, Within(1e-9, 1)] = 1.0


@dataclasses.dataclass(frozen=True)
class Margin:
    """The loss (`margins`). concentration and rate: AdaFace's h and momentum of its statistics.

    scale: of the cosines. sampled: share of the identities in each step's softmax (Partial FC).
    """

    name: Literal["adaface", "arcface", "cosface"] = "adaface"
    margin: Annotated[float, Within(0, math.pi)] = 0.5
    concentration: Annotated[float, Within(0, 10)] = 0.333
    rate: Share = 0.01
    scale: Annotated[float, Within(0, 1e4)] = 64.0
    sampled: Annotated[float, Within(1e-9, 1)] = 1.0


@dataclasses.dataclass(frozen=True)
class FaceData:
    """The people to train on.

    name: of the held-out people's pairs. images: a folder or zip with a folder a person, a .rec file or an ArrayRecord
    directory. held_out: people kept for verification. subset: images drawn to train on; 0: all. image_size: sides of
    the crops in pixels, where another size is an error; 0: any. augment: AdaFace's augmentations.
    validation: people of those to train on whose pairs choose settings. seed: of who is held out, and of the pairs.
    """

    name: str = ""
    images: str = ""
    split: str = ""
    held_out: Count = 0
    validation: Count = 0
    subset: Count = 0
    image_size: Annotated[int, Within(0, 2**16)] = 0
    augment: bool = True
    batch_size: BatchSize = 64
    workers: Workers = 0
    on_bad_image: OnBad = "error"
    seed: Seed = 0


@dataclasses.dataclass(frozen=True)
class Pairs:
    """path: a .bin, pairs.txt, .csv or .zip file of pairs. images: folder or zip of the pictures that it names."""

    path: str = ""
    images: str = ""


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Everyday pictures, whose zero-shot accuracy tells whether the tuned CLIP still matches pictures with words."""

    images: str = ""
    split: str = "test"
    template: Annotated[str, Braces("c")] = "a photo of a {c}"


@dataclasses.dataclass(frozen=True)
class FaceEvaluation:
    """batch_size: pictures at once."""

    batch_size: EvaluationBatchSize = 64


@dataclasses.dataclass(frozen=True)
class FaceReport:
    """pairs: that the report shows."""

    pairs: Shown = 8


@dataclasses.dataclass(frozen=True)
class VerificationOptions(OnClip):
    """pairs: sets of pairs to evaluate by, by name."""

    task: str = "verification"
    bottleneck: BottleneckOptions = BottleneckOptions()
    margin: Margin = Margin()
    data: FaceData = FaceData()
    pairs: Mapping[str, Pairs] = dataclasses.field(default_factory=dict)
    alignment: Alignment = Alignment()
    optimizer: Optimizer = Optimizer(learning_rate=3e-4, weight_decay=0.05, clip_norm=1.0)
    evaluation: FaceEvaluation = FaceEvaluation()
    report: FaceReport = FaceReport()

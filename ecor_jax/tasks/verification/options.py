"""The options of face verification through descriptors."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Literal

from ecor_jax.bottleneck.head import AdapterOptions
from ecor_jax.config.options import (
    BatchSize,
    Count,
    EvaluationBatchSize,
    Names,
    OnBad,
    Placeholders,
    Seed,
    Share,
    Shown,
    Within,
    Workers,
)
from ecor_jax.tasks.pretrain.options import ClipTaskOptions
from ecor_jax.training.options import Optimizer


@dataclasses.dataclass(frozen=True)
class BottleneckOptions:
    """The head (`bottleneck.head.Bottleneck`), and the parts of the model to train.

    descriptors: 'faces', the built-in 120, or a JSON file {"groups": {group: [descriptor, ...]}}.
    scrambled: replaces the words of the descriptors by random letters, as a control.
    template: the prompt; {d} is the descriptor.
    output: the compared embedding: the CLIP's features, the activations of the descriptors, or these aggregated.
    scale: factor on the cosines before the softmax within groups; 0: the logit scale of the CLIP.
    size: dimension of the aggregated embedding; 0: the number of descriptors.
    init: initial aggregation matrix. use_bias: whether the aggregation has a bias.
    tuned: empty, or some of aggregation, adapter, last_mlp and last_block (MLP or all of the last residual block),
      projection (CLIP's), pool (SigLIP's attention pooling), encoder (all of it), with commas.
    wise_ft: weight of the tuned parameters in the average with the untuned ones (WiSE-FT); 1: only the tuned ones.
    """

    descriptors: str = "faces"
    scrambled: bool = False
    template: Annotated[str, Placeholders("d", needed="d")] = "a photo of a person with {d}"
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
    """The margin loss (`tasks.verification.margins`).

    name: of the loss. margin: an angle (arcface), a cosine (cosface) or both (adaface).

    concentration: AdaFace's h. rate: momentum of AdaFace's norm statistics. scale: factor on the cosines.
    sampled: share of the identities in the softmax of a step (Partial FC); 1: all.
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

    name: name of the set of the held-out people's pairs. images: a folder or zip with a folder per person, a .rec file
    or an ArrayRecord directory. held_out: number of people kept for verification. validation: number of the other
    people whose pairs form the validation split. subset: number of images to train on, drawn at random; 0: all.
    image_size: required side of the images in pixels; 0: any. augment: whether to use AdaFace's augmentations.
    split: the split to read, of images that have splits. batch_size: images of a step. workers: processes that read and
    decode images; 0: threads of this process; -1: as many as Grain chooses. on_bad_image: 'error', or 'skip' images
    that cannot be read. seed: of the choice of people, of the subset and of the pairs.
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
    """path: a .bin, pairs.txt, .csv or .zip file of pairs. images: folder or zip of the pictures in this file."""

    path: str = ""
    images: str = ""


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Everyday pictures for the alignment proxy: the zero-shot accuracy of the tuned CLIP.

    images: as `data.images`; empty for none. split: the split to read. template: the prompt; {c} is the class.
    """

    images: str = ""
    split: str = "test"
    template: Annotated[str, Placeholders("c")] = "a photo of a {c}"


@dataclasses.dataclass(frozen=True)
class FaceEvaluation:
    """batch_size: number of pictures that are encoded at once."""

    batch_size: EvaluationBatchSize = 64


@dataclasses.dataclass(frozen=True)
class FaceReport:
    """pairs: number of pairs in the report. saliency: whether they have saliency maps."""

    pairs: Shown = 8
    saliency: bool = False


@dataclasses.dataclass(frozen=True)
class VerificationOptions(ClipTaskOptions):
    """pairs: sets of pairs to evaluate on, by name."""

    task: str = "verification"
    bottleneck: BottleneckOptions = BottleneckOptions()
    margin: Margin = Margin()
    data: FaceData = FaceData()
    pairs: Mapping[str, Pairs] = dataclasses.field(default_factory=dict)
    alignment: Alignment = Alignment()
    optimizer: Optimizer = Optimizer(learning_rate=3e-4, weight_decay=0.05, clip_norm=1.0)
    evaluation: FaceEvaluation = FaceEvaluation()
    report: FaceReport = FaceReport()

"""The options of prompt tuning and evaluation on a rationale dataset."""

import dataclasses
from typing import Annotated, Literal

from ecor_jax.config.options import (
    Braces,
    EvaluationBatchSize,
    Names,
    OnBad,
    Positive,
    Shown,
    Weight,
    Within,
)
from ecor_jax.tasks.pretrain.options import OnClip
from ecor_jax.tasks.splits import LabelledPictures
from ecor_jax.training.options import Optimizer


@dataclasses.dataclass(frozen=True)
class Templates:
    """Other prompts for all methods; empty: their own."""

    outer: Annotated[str, Braces("cr")] = ""
    pair: Annotated[str, Braces("cr")] = ""


@dataclasses.dataclass(frozen=True)
class RationaleLoss:
    """What the papers leave open.

    candidates: 'vocabulary', a softmax over all rationales, then over all classes given the gold one, as inference
      does; 'batch', symmetric InfoNCE over the batch, equal texts being positives.
    gold: which of a picture's gold rationales a step asks for: a 'draw' at random, or the 'pseudo' label, the one that
      the model itself finds likeliest (DROR's on real ImageNet photographs).
    outer_weight, pair_weight: of the two terms; 1 and 1 in the paper.
    """

    candidates: Literal["vocabulary", "batch"] = "vocabulary"
    gold: Literal["draw", "pseudo"] = "draw"
    outer_weight: Weight = 1.0
    pair_weight: Weight = 1.0


@dataclasses.dataclass(frozen=True)
class Prompts:
    """Visual prompt tokens (`clip.prompts`). layers: shallow, deep, or numbers of layers with commas.

    border: pixels of a learnable frame that is added to pictures; 0: none.
    """

    count: Annotated[int, Within(1, 4096)] = 3
    layers: str = "shallow"
    initialisation: Literal["vpt", "normal"] = "vpt"
    border: Annotated[int, Within(0, 512)] = 0


@dataclasses.dataclass(frozen=True)
class RationaleData(LabelledPictures):
    """Pictures and rationales (`tasks.rationale.data`).

    rationales: a JSON file {class: [rationale, ...]}.
    on_missing: what to do about classes that only the pictures or only the rationales have.
    on_long: about rationales of more tokens than the text tower reads.
    rationales_per_prompt: several are joined by " and "; 0: all of a class.
    resize: 'model', as the CLIP asks for; 'dror', as DROR's released code: training pictures to a square whatever their
      shape, others with their shorter side at 256 for each 224 pixels before the crop.
    """

    rationales: str = ""
    on_long: OnBad = "error"
    rationales_per_prompt: Annotated[int, Within(0, 1000)] = 1
    augment: Literal["none", "flip", "crop_flip"] = "none"
    resize: Literal["model", "dror"] = "model"


@dataclasses.dataclass(frozen=True)
class RationaleEvaluation:
    """mode: what counts as a right rationale (`tasks.rationale.doubly_right`).

    top_k: pairs that vote; 0: five, or all of them where there are fewer.
    calibration: whether the probabilities of categories and of rationales by themselves are told, too: sums over all
      pairs, which the top pairs alone are found without.
    """

    mode: Literal["strict", "dror"] = "strict"
    top_k: Annotated[int, Within(0, 10**6)] = 0
    calibration: bool = True
    batch_size: EvaluationBatchSize = 64


@dataclasses.dataclass(frozen=True)
class RationaleReport:
    """pictures: that the report shows."""

    pictures: Shown = 24


@dataclasses.dataclass(frozen=True)
class RationaleOptions(OnClip):
    """method: one or several of tasks/rationale/methods.py, each a row of the results."""

    task: str = "rationale"
    method: Names = ("clip", "dror", "ecor")
    templates: Templates = Templates()
    loss: RationaleLoss = RationaleLoss()
    prompts: Prompts = Prompts()
    data: RationaleData = RationaleData()
    steps: Positive = 300
    optimizer: Optimizer = Optimizer(learning_rate=1e-2)
    evaluation: RationaleEvaluation = RationaleEvaluation()
    report: RationaleReport = RationaleReport()

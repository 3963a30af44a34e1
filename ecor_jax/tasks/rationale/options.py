"""The options of the rationale task: prompt tuning and evaluation on pictures with rationales."""

import dataclasses
from typing import Annotated, Literal

from ecor_jax.config.options import EvaluationBatchSize, Names, OnBad, Placeholders, Positive, Shown, Weight, Within
from ecor_jax.data.vocabulary import MAX_PAIRS
from ecor_jax.tasks.pretrain.options import ClipTaskOptions
from ecor_jax.tasks.splits import LabelledPictures
from ecor_jax.training.options import Optimizer


@dataclasses.dataclass(frozen=True)
class Templates:
    """Prompts that replace those of all methods; {c} is the category, {r} the rationale.

    outer: prompt of the first factor; empty: each method's own. pair: prompt of the second factor, or of pairs; empty:
    each method's own.
    """

    outer: Annotated[str, Placeholders("cr")] = ""
    pair: Annotated[str, Placeholders("cr")] = ""


@dataclasses.dataclass(frozen=True)
class RationaleLoss:
    """Settings of the loss, most of which the papers do not state.

    candidates: 'vocabulary', a softmax over all rationales, then over all classes given the gold rationale, as in
      inference; 'batch', symmetric InfoNCE over the batch, with equal texts as positives.
    gold: the target among a picture's gold rationales: a random 'draw' at each step, or the 'pseudo' label, the most
      probable one according to the model (as DROR does on real ImageNet photographs).
    outer_weight, pair_weight: weights of the two terms of the loss; 1 and 1 in the paper.
    """

    candidates: Literal["vocabulary", "batch"] = "vocabulary"
    gold: Literal["draw", "pseudo"] = "draw"
    outer_weight: Weight = 1.0
    pair_weight: Weight = 1.0


@dataclasses.dataclass(frozen=True)
class Prompts:
    """Visual prompt tokens (`clip.prompts`).

    count: number of tokens of a layer. initialisation: 'vpt', uniform as in VPT, or 'normal', standard normal (DROR).
    layers: shallow, deep, or layer numbers with commas.

    border: width in pixels of a learnable frame that is added to pictures; 0: none.
    """

    count: Annotated[int, Within(1, 4096)] = 3
    layers: str = "shallow"
    initialisation: Literal["vpt", "normal"] = "vpt"
    border: Annotated[int, Within(0, 512)] = 0


@dataclasses.dataclass(frozen=True)
class RationaleData(LabelledPictures):
    """Pictures and rationales (`tasks.rationale.data`).

    question: of the built-in drawings: the question whose answers are the classes (`data.procedural.questions`); empty:
      what a drawing shows.
    rationales: a JSON file {class: [rationale, ...]}.
    augment: random changes of training pictures; 'crop_flip' crops and mirrors.
    distractors: other such files, with commas. Their classes and rationales become candidates without pictures, in a
      random order by `seed`. pairs: number of pairs until which classes are added; 0 without distractors.
    on_missing: 'error', or 'allow' classes that only the pictures or only the rationales have.
    on_overlap: 'skip', or 'allow' test pictures with the bytes of a picture that the model was trained on.
    on_long: 'error', or 'skip' rationales whose prompts exceed the context of the text tower.
    rationales_per_prompt: number of rationales of a class that a prompt joins by " and "; 0: all of a class.
    resize: 'model', the preprocessing of the CLIP; 'dror', that of DROR's released code: training pictures are squashed
      to a square; of other pictures, the shorter side is scaled to 256/224 of the input size before the crop.
    """

    question: Literal["", "colour", "count", "part", "where", "caption"] = ""
    rationales: str = ""
    distractors: str = ""
    pairs: Annotated[int, Within(0, MAX_PAIRS)] = 0
    on_overlap: Literal["skip", "allow"] = "skip"
    on_long: OnBad = "error"
    rationales_per_prompt: Annotated[int, Within(0, 1000)] = 1
    augment: Literal["none", "flip", "crop_flip"] = "none"
    resize: Literal["model", "dror"] = "model"


@dataclasses.dataclass(frozen=True)
class RationaleEvaluation:
    """mode: criterion for a right rationale (`tasks.rationale.doubly_right`).

    batch_size: pictures that are evaluated at once.
    top_k: number of pairs that vote; 0: five, or all pairs if there are fewer.
    calibration: whether to compute marginal probabilities of categories and rationales too, for their calibration.
      These are sums over all pairs, which the search for the top pairs does not need.
    causal: whether to run the causal test (`tasks.rationale.causal`). parts: whether to compare words, saliency and
      counterfactuals by the parts that they name (`tasks.rationale.parts`). pointing: the methods, 'last' or 'all',
      whose saliency maps are tested by the pointing game, deletion and insertion (`tasks.rationale.pointing`). All
      three need the built-in drawings.
    """

    mode: Literal["strict", "dror"] = "strict"
    top_k: Annotated[int, Within(0, 10**6)] = 0
    calibration: bool = True
    causal: bool = False
    parts: bool = False
    pointing: Literal["none", "last", "all"] = "none"
    batch_size: EvaluationBatchSize = 64


@dataclasses.dataclass(frozen=True)
class RationaleReport:
    """pictures: number of pictures in the report. saliency: whether they have saliency maps and counterfactuals."""

    pictures: Shown = 24
    saliency: bool = False


@dataclasses.dataclass(frozen=True)
class RationaleOptions(ClipTaskOptions):
    """method: one or several names of tasks/rationale/methods.py, with commas; each is a row of the results."""

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

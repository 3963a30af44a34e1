"""The options of contrastive pretraining, and of the tasks that may pretrain a CLIP first."""

import dataclasses
from typing import Annotated, Literal

from ecor_jax.config.options import BatchSize, OnBad, Positive, Seed, Share, Within, Workers
from ecor_jax.training.options import Optimizer, Training


@dataclasses.dataclass(frozen=True)
class PretrainData:
    """Pictures and their captions.

    images: a folder, a zip or an ArrayRecord directory, or several, comma-separated; 'procedural': built-in drawings.
    captions: a JSON file of captions. descriptors: JSON files {class: [descriptor, ...]}, comma-separated. At least one
      is needed; classes without captions are captioned by their name and descriptors (`data.captions`).
    split: the split to read, of the images that have it. holdout: share of every class that is left out of the others:
      the test pictures of a task with the same `holdout`, `seed` and names of classes, if its images are one path.
    aliases: pairs PICTURES' CLASS=NAME, with commas.
    positives: the captions that match a picture besides its own: those with equal 'text', or of the same 'category'.
    batch_size: pictures of a step. augment: random changes of the pictures; 'crop_flip' crops and mirrors. workers:
      processes that read and decode pictures; 0: threads of this process; -1: as many as Grain chooses. on_bad_image:
      'error', or 'skip' pictures that cannot be read.
    text_length: maximum number of tokens; longer captions are truncated.
    count: number of the built-in drawings; not used for other images. questions: whether their captions answer the
      questions of `data.procedural.questions`, instead of naming the object and its parts.
    seed: of the drawings and the holdout.
    """

    images: str = ""
    split: str = ""
    holdout: Share = 0.0
    aliases: str = ""
    captions: str = ""
    descriptors: str = ""
    positives: Literal["text", "category"] = "text"
    text_length: Annotated[int, Within(2, 2**20)] = 28
    batch_size: BatchSize = 256
    augment: Literal["none", "flip", "crop_flip"] = "crop_flip"
    workers: Workers = 0
    on_bad_image: OnBad = "error"
    count: Annotated[int, Within(0, 10**8)] = 0
    questions: bool = False
    seed: Seed = 0


@dataclasses.dataclass(frozen=True)
class PretrainOptions(Training):
    """Options of pretraining a CLIP from scratch or from another CLIP.

    model: a preset of `clip.config`, or the model directory or hub id of the initial weights.
    loss: the contrastive loss, CLIP's softmax or SigLIP's sigmoid. steps: number of training steps.
    log_every, checkpoint_every: steps between lines of metrics.jsonl, and between checkpoints.
    kept_patches: number of random patches of a picture that a step encodes (FLIP); 0: all.
    """

    task: str = "pretrain"
    model: str = "small/64-8"
    loss: Literal["softmax", "sigmoid"] = "softmax"
    kept_patches: Annotated[int, Within(0, 2**20)] = 0
    data: PretrainData = PretrainData()
    steps: Positive = 1000
    optimizer: Optimizer = Optimizer(warmup_steps=200, weight_decay=0.1, b2=0.98, clip_norm=1.0)
    log_every: Positive = 20
    checkpoint_every: Positive = 500


@dataclasses.dataclass(frozen=True)
class ClipTaskOptions(Training):
    """The options of every task that uses a CLIP. pretrain: how to pretrain one if `model` is empty."""

    pretrain: PretrainOptions | None = None

"""Settings that several configs share, and the path of the data folder."""

import os
from collections.abc import Collection

from ecor_jax.config.options import Config, defaults
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale.options import RationaleOptions

SMALL_CLIP = "runs/photographs_clip/model"
"""The CLIP for photographs that the project pretrains itself (configs/pretrain_photographs.py)."""


def data_folder() -> str:
    """Returns the folder of downloaded images and rationales: $ECOR_DATA, or `data` in the current folder."""
    return os.environ.get("ECOR_DATA") or "data"


def check_row(row: str, rows: Collection[str]) -> None:
    """Raises UserError, which lists the rows of a config, if it has no such row."""
    if row not in rows:
        raise UserError(f"no row {row!r}; there are: {', '.join(rows)}")


def published(name: str, images: str, rationales: str) -> Config:
    """Returns a config of one of DROR's six datasets, with the settings of its released code for small datasets.

    These are OpenAI's ViT-L/14, 3 shallow prompt tokens, batches of 32, SGD with learning rate 40, 1,000 warm-up
    steps and a cosine schedule. Images and rationales are in `data_folder()`.
    """
    config = defaults(RationaleOptions)
    config.model = "openai/clip-vit-large-patch14"
    config.data.name = name
    config.data.images = f"{data_folder()}/images/{images}"
    config.data.rationales = f"{data_folder()}/rationales/{rationales}"
    config.data.batch_size = 32
    config.prompts.initialisation = "normal"
    config.optimizer.name, config.optimizer.learning_rate = "sgd", 40.0
    config.optimizer.warmup_steps = 1000
    config.steps = 30_000
    config.checkpoint_every = 1000
    config.log_every = 50
    return config


def small_clip(config: Config) -> Config:
    """Changes a config to the small CLIP of configs/pretrain_photographs.py, with settings for two CPU cores.

    Prompts, learning rate and clipping were chosen on a tenth of CIFAR-10's training pictures, for all three datasets.
    """
    config.model = SMALL_CLIP
    config.method = "clip,dror,ecor,ecor_reversed,ecor_independent,ecor_false_condition,ecor_short"
    config.prompts.count, config.prompts.layers = 8, "deep"
    config.prompts.initialisation = "vpt"
    config.optimizer = defaults(RationaleOptions).optimizer
    config.optimizer.learning_rate, config.optimizer.clip_norm = 0.02, 1.0
    config.data.augment = "flip"
    config.steps = 150
    config.log_every, config.checkpoint_every = 10, 100
    return config

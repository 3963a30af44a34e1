"""Prompt tuning on the built-in drawings, as run by `ecor-jax quickstart`.

    ecor-jax train --config=configs/quickstart.py --workdir=DIR

A small CLIP is pretrained first (two minutes on two CPU cores), unless --config.model names one.

Expected: ECOR is doubly right most often, for 39 % of the pictures (RESULTS.md).
"""

from configs import pretrain_drawings
from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.rationale.options import RationaleOptions


def get_config() -> Config:
    config = defaults(RationaleOptions)
    config.pretrain = pretrain_drawings.get_config()
    config.data.name = "drawings"
    config.data.images = "procedural"
    config.data.train_count, config.data.test_count = 2400, 600
    config.prompts.count, config.prompts.layers = 8, "deep"
    config.steps = 300
    config.optimizer.learning_rate, config.optimizer.clip_norm = 0.02, 1.0
    return config

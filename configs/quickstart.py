"""Prompt tuning on the built-in drawings: what `python -m launch.quickstart` tunes, after it made a CLIP.

    python -m launch.train --config=configs/quickstart.py --config.model=DIR/clip/model --workdir=DIR

Expected: ECOR doubly right most often, 39 % of the pictures (RESULTS.md).
"""

from configs.common import rationale
from ecor_jax.config import Config


def get_config() -> Config:
    config = rationale()
    config.data.name = "drawings"
    config.data.images = "procedural"
    config.data.train_count, config.data.test_count = 2400, 600
    config.prompts.count, config.prompts.layers = 8, "deep"
    config.steps = 300
    config.optimizer.learning_rate, config.optimizer.clip_norm = 0.02, 1.0
    return config

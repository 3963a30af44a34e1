"""Pretrains a small CLIP on the built-in drawings and their captions, in about two minutes on two CPU cores.

ecor-jax train --config=configs/pretrain_drawings.py --workdir=runs/drawings_clip
"""

from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.pretrain.options import PretrainOptions


def get_config() -> Config:
    config = defaults(PretrainOptions)
    config.model = "small/64-16"
    config.data.images = "procedural"
    config.data.count = 8000
    config.data.text_length = 26
    config.data.augment = "none"
    # Most captions match several pictures of a large batch; small batches have fewer false negatives.
    config.data.batch_size = 64
    config.steps = 1300
    config.optimizer.warmup_steps = 50
    return config

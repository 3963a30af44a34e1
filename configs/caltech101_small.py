"""Caltech-101 with the small CLIP of configs/pretrain_photographs.py: all methods and ablations.

    ecor-jax train --config=configs/caltech101_small.py --workdir=runs/caltech101_small

Expected: see RESULTS.md. The order of the methods is comparable with the papers, the values are not.
"""

from configs import caltech101
from configs.common import small_clip
from ecor_jax.config.options import Config


def get_config() -> Config:
    return small_clip(caltech101.get_config())

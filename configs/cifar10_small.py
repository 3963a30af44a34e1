"""CIFAR-10 with the small CLIP of configs/pretrain_photographs.py: all methods and ablations.

    ecor-jax train --config=configs/cifar10_small.py --workdir=runs/cifar10_small

Expected: see RESULTS.md. The order of the methods is comparable with the papers, the values are not.
"""

from configs.common import published, small_clip
from ecor_jax.config.options import Config


def get_config() -> Config:
    return small_clip(published("cifar10", "cifar10.zip", "cifar10_text.json"))

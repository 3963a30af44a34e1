"""Tiny-ImageNet with DROR's rationales and the small CLIP of configs/pretrain_photographs.py, which knows its images.

    ecor-jax train --config=configs/tiny_imagenet_small.py --workdir=runs/tiny_imagenet_small

Expected: see RESULTS.md. The order of the methods is comparable with the papers, the values are not.
"""

from configs.common import data_folder, small_clip
from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.rationale.options import RationaleOptions


def get_config() -> Config:
    config = small_clip(defaults(RationaleOptions))
    images = f"{data_folder()}/images"
    config.data.name = "tiny_imagenet"
    config.data.images = f"{images}/tinyimagenet_train_a.zip"
    config.data.train_split = "train"
    config.data.test_images = f"{images}/tinyimagenet_val.zip"
    config.data.test_split = "val"
    config.data.rationales = f"{images}/tinyimagenet_classes.json"
    config.data.batch_size = 32
    return config

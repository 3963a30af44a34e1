"""A small CLIP from Tiny-ImageNet (64 px, 200 classes x 200 images) and class descriptors as captions.

    python -m launch.train --config=configs/pretrain_tiny_imagenet.py --workdir=runs/tiny_clip

Expected: see RESULTS.md. It knows 200 classes of small pictures; it stands in for no published CLIP.
"""

from configs.common import data_folder, pretrain
from ecor_jax.config import Config


def get_config() -> Config:
    config = pretrain()
    images = f"{data_folder()}/images"
    config.data.images = f"{images}/tinyimagenet_train_a.zip,{images}/tinyimagenet_train_b.zip"
    config.data.split = "train"
    config.data.captions = f"{images}/tinyimagenet_classes.json"
    # Any caption of a class fits any of its images.
    config.data.positives = "category"
    config.kept_patches = 16
    config.steps = 2200
    config.checkpoint_every = 100
    return config

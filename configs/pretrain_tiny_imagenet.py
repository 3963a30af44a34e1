"""Pretrains a small CLIP on Tiny-ImageNet (64 px, 200 classes x 200 images) with class descriptors as captions.

    ecor-jax train --config=configs/pretrain_tiny_imagenet.py --workdir=runs/tiny_clip

This stage encodes a quarter of the patches. Two further stages continue it with half of the patches, then with all:

    ecor-jax train --config=configs/pretrain_tiny_imagenet.py:half --workdir=runs/tiny_clip_half
    ecor-jax train --config=configs/pretrain_tiny_imagenet.py:whole --workdir=runs/tiny_clip_whole

Expected: see RESULTS.md. The model knows 200 classes of small pictures and does not replace a published CLIP.
"""

from configs.common import check_row, data_folder
from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.pretrain.options import PretrainOptions

STAGES = ("quarter", "half", "whole")


def get_config(stage: str = "quarter") -> Config:
    check_row(stage, STAGES)
    config = defaults(PretrainOptions)
    images = f"{data_folder()}/images"
    config.data.images = f"{images}/tinyimagenet_train_a.zip,{images}/tinyimagenet_train_b.zip"
    config.data.split = "train"
    config.data.captions = f"{images}/tinyimagenet_classes.json"
    # Every caption of a class matches all images of the class.
    config.data.positives = "category"
    config.kept_patches = 16
    config.steps = 2200
    config.checkpoint_every = 100
    if stage == "half":
        config.model = "runs/tiny_clip/model"
        config.kept_patches, config.data.text_length = 32, 24
        config.steps = 1500
        config.optimizer.learning_rate, config.optimizer.warmup_steps = 8e-4, 100
    if stage == "whole":
        config.model = "runs/tiny_clip_half/model"
        config.kept_patches, config.data.text_length = 0, 24
        config.data.batch_size, config.steps = 128, 400
        config.optimizer.learning_rate, config.optimizer.warmup_steps = 3e-4, 30
    return config

"""Pretrains a small CLIP on photographs: Tiny-ImageNet (64 px, 200 classes), CIFAR-10 and Caltech-101.

    ecor-jax train --config=configs/pretrain_photographs.py --workdir=runs/photographs

The captions are class names and the descriptors of Menon and Vondrick (2023). Rationales are not read, nor the test
pictures of the three sets (of Caltech-101, those of data.seed 0). This stage encodes a quarter of the patches; a second
one continues it with all:

    ecor-jax train --config=configs/pretrain_photographs.py:whole --workdir=runs/photographs_clip

Two hours on two CPU cores. Expected: see RESULTS.md. It does not replace a published CLIP.
"""

from configs.common import check_row, data_folder
from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.pretrain.options import PretrainOptions

STAGES = ("quarter", "whole")


def get_config(stage: str = "quarter") -> Config:
    check_row(stage, STAGES)
    config = defaults(PretrainOptions)
    folder = data_folder()
    zips = ["tinyimagenet_train_a", "tinyimagenet_train_b", "cifar10"]
    # Caltech-101 has 15 training pictures a class, so each is seen four times as often.
    zips += ["caltech101"] * 4
    config.data.images = ",".join(f"{folder}/images/{name}.zip" for name in zips)
    config.data.split, config.data.holdout = "train", 0.25
    config.data.aliases = "faces easy=person"
    config.data.captions = f"{folder}/images/tinyimagenet_classes.json"
    config.data.descriptors = f"{folder}/descriptors/descriptors_imagenet.json"
    # Every caption of a class matches all images of the class.
    config.data.positives = "category"
    config.data.text_length = 24
    config.optimizer.name, config.optimizer.learning_rate = "muon", 2e-3
    config.kept_patches = 16
    config.steps, config.checkpoint_every = 5000, 200
    if stage == "whole":
        config.model = "runs/photographs/model"
        config.kept_patches = 0
        config.data.batch_size, config.steps = 128, 500
        config.optimizer.learning_rate, config.optimizer.warmup_steps = 5e-4, 30
    return config

"""Effusion against No Finding on a subset of NIH's X-rays, through descriptors, with a small CLIP pretrained for it.

    ecor-jax train --config=configs/xray_nih.py --workdir=runs/xray_nih

Patients are split first; the small CLIP is pretrained only on images of the training patients, with captions made from
their labels (a quarter of an hour on two CPU cores), unless --config.model names a CLIP. For another split and another
CLIP: --config.seed=1 --config.data.seed=1 --config.pretrain.seed=1. Expected: see RESULTS.md. Research software; no
medical device.
"""

from configs.common import data_folder
from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.concepts.options import ConceptsOptions
from ecor_jax.tasks.pretrain.options import PretrainOptions


def get_config() -> Config:
    config = defaults(ConceptsOptions)
    config.data.kind = "xrays"
    folder = f"{data_folder()}/xray"
    config.data.name = "nih"
    config.data.images, config.data.tables = f"{folder}/nih_subset.zip", f"{folder}/nih_labels.csv"
    config.pretrain = defaults(PretrainOptions)
    config.pretrain.model = "small/128-16"
    # The data of pretraining are the training patients' images and captions made from their labels.
    config.pretrain.data.positives = "category"
    config.pretrain.data.text_length = 24
    config.pretrain.data.batch_size = 128
    config.pretrain.kept_patches = 32
    config.pretrain.steps = 700
    config.pretrain.optimizer.warmup_steps = 70
    config.pretrain.checkpoint_every = 100
    return config

"""Defaults that the configs share, and where the data folder is."""

import os

from ml_collections import ConfigDict


def data_folder() -> str:
    """The folder of downloaded images and rationales: $ECOR_DATA, or `data` here."""
    return os.environ.get("ECOR_DATA", "data")


def pretrain() -> ConfigDict:
    """Contrastive pretraining of a CLIP from scratch or from a model directory (`ecor_jax/runs/pretrain.py`)."""
    return ConfigDict(
        {
            "task": "pretrain",
            "seed": 0,
            "model": "small/64-8",  # a preset, or a model directory or hub id to continue from
            "dtype": "float32",
            "loss": "softmax",  # or sigmoid
            "kept_patches": 0,  # patches an image is cut down to in training; 0: all
            "data": {
                "images": "",  # folder, zip or ArrayRecord directory; several separated by commas
                "split": "",
                "captions": "",  # JSON, see ecor_jax/data/captions.py
                "positives": "text",  # or category
                "text_length": 28,
                "batch_size": 256,
                "augment": "crop_flip",  # none, flip or crop_flip
                "workers": 0,
                "on_bad_image": "error",  # or skip
                "count": 0,  # of the procedural set only
                "seed": 0,
            },
            "steps": 1000,
            "optimizer": {
                "name": "adamw",
                "learning_rate": 1e-3,
                "warmup_steps": 200,
                "schedule": "cosine",
                "weight_decay": 0.1,
                "momentum": 0.9,
                "b2": 0.98,
                "clip_norm": 1.0,
            },
            "parallel": {"model": 1},
            "log_every": 20,
            "checkpoint_every": 500,
        }
    )

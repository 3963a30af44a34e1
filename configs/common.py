"""Defaults that the configs share, and where the data folder is."""

import os

from ml_collections import ConfigDict

from ecor_jax.config import Config


def data_folder() -> str:
    """The folder of downloaded images and rationales: $ECOR_DATA, or `data` here."""
    return os.environ.get("ECOR_DATA", "data")


def pretrain() -> Config:
    """Contrastive pretraining of a CLIP from scratch or from a model directory (`ecor_jax/tasks/pretrain/task.py`)."""
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


def rationale() -> Config:
    """Prompt tuning and evaluation on a rationale dataset (`ecor_jax/tasks/rationale/task.py`)."""
    return ConfigDict(
        {
            "task": "rationale",
            "seed": 0,
            "model": "",  # model directory or hub id
            "dtype": "float32",  # of the vision tower's computations; bfloat16 on accelerators
            "method": "clip,dror,ecor",  # one or several of ecor_jax/tasks/rationale/methods.py
            "templates": {"outer": "", "pair": ""},  # other prompts for all methods; empty: their own
            "loss": {"candidates": "vocabulary", "gold": "draw", "outer_weight": 1.0, "pair_weight": 1.0},
            "prompts": {
                "count": 3,
                "layers": "shallow",  # shallow, deep, or layer numbers with commas: 0,4,8
                "position": "after_cls",  # or end
                "initialisation": "vpt",  # or normal
            },
            "data": {
                "name": "",
                "images": "",  # a folder tree, a zip or an ArrayRecord directory; several with commas
                "test_images": "",  # where the test's lie apart
                "rationales": "",  # JSON {class: [rationale, ...]}
                "train_split": "",
                "test_split": "",
                "holdout": 0.2,  # of every class kept for the test where the images have no splits
                "slash": " or ",  # what / becomes in class names
                "aliases": "",  # image class=vocabulary class, with commas
                "on_missing": "error",  # or allow
                "on_long": "error",  # or skip: rationales of more tokens than the text tower reads
                "on_bad_image": "error",  # or skip
                "rationales_per_prompt": 1,  # several joined by " and "; 0: all of a class
                "augment": "none",  # none, flip or crop_flip
                "batch_size": 64,
                "workers": 0,
                "seed": 0,  # of the holdout and of the built-in set
                "train_count": 0,  # of the built-in set only
                "test_count": 0,
            },
            "steps": 300,
            "optimizer": {
                "name": "adamw",
                "learning_rate": 1e-2,
                "warmup_steps": 20,
                "schedule": "cosine",
                "weight_decay": 0.0,
                "momentum": 0.9,
                "b2": 0.999,
                "clip_norm": 0.0,
            },
            "evaluation": {"mode": "strict", "top_k": 5, "batch_size": 64},
            "report": {"pictures": 24},
            "parallel": {"model": 1},
            "log_every": 10,
            "checkpoint_every": 100,
        }
    )


def published(name: str, images: str, rationales: str) -> Config:
    """One of DROR's six datasets with the settings of its small ones (facts of its released code).

    ViT-L/14 of OpenAI, 3 shallow prompt tokens at the end, batches of 32, SGD with learning rate 40, 1,000 steps of
    warm-up, cosine. Images and rationales are looked for in `data_folder()`.
    """
    config = rationale()
    config.model = "openai/clip-vit-large-patch14"
    config.data.name = name
    config.data.images = f"{data_folder()}/images/{images}"
    config.data.rationales = f"{data_folder()}/rationales/{rationales}"
    config.data.batch_size = 32
    config.prompts.position, config.prompts.initialisation = "end", "normal"
    config.optimizer.name, config.optimizer.learning_rate = "sgd", 40.0
    config.optimizer.warmup_steps = 1000
    config.steps = 30_000
    config.checkpoint_every = 1000
    config.log_every = 50
    return config


def small_clip(config: Config) -> Config:
    """The same dataset with the small CLIP of configs/pretrain_tiny_imagenet.py: what two CPU cores can do.

    Prompts, rate and clipping were chosen on a tenth of CIFAR-10's training pictures, for all three datasets.
    """
    config.model = "runs/tiny_clip_whole/model"
    config.method = "clip,dror,ecor,ecor_reversed,ecor_independent,ecor_false_condition,ecor_short"
    config.prompts.count, config.prompts.layers = 8, "deep"
    config.prompts.position, config.prompts.initialisation = "after_cls", "vpt"
    config.optimizer = rationale().optimizer
    config.optimizer.learning_rate, config.optimizer.clip_norm = 0.02, 1.0
    config.data.augment = "flip"
    config.steps = 150
    config.log_every, config.checkpoint_every = 10, 100
    return config


def verification() -> Config:
    """A descriptor bottleneck for face verification (`ecor_jax/tasks/verification/task.py`)."""
    return ConfigDict(
        {
            "task": "verification",
            "seed": 0,
            "model": "",  # model directory or hub id
            "pretrain": ConfigDict(),  # a pretraining config for the CLIP, where no model is named
            "dtype": "float32",
            "bottleneck": {
                "descriptors": "faces",  # the built-in 120, or a JSON file {"groups": {group: [descriptor, ...]}}
                "scrambled": False,  # random letters for words: the control
                "template": "a photo of a person with {d}",
                "output": "aggregated",  # what decides: features, activations or aggregated
                "scale": 0.0,  # of the cosines before the softmax; 0: the CLIP's own
                "size": 0,  # of the embedding; 0: one for each descriptor
                "start": "identity",  # of the aggregation matrix, or orthogonal
                "use_bias": False,
                "adapter": {"width": 0, "alpha": 0.8, "last_relu": True},  # width 0: none
                # Nothing, or some of aggregation, adapter, last_mlp, last_block, projection, encoder
                "tuned": "last_mlp,aggregation",
                "wise": 1.0,  # WiSE-FT's share of the tuned weights
            },
            "margin": {
                "name": "adaface",  # adaface, arcface or cosface
                "margin": 0.5,
                "concentration": 0.333,
                "rate": 0.01,
                "scale": 64.0,
                "sampled": 1.0,  # share of the identities in each step's softmax
            },
            "data": {
                "name": "",  # of the held-out people's pairs
                "images": "",  # folder or zip with a folder a person, .rec, or an ArrayRecord directory
                "split": "",
                "held_out": 0,  # people kept for verification
                "subset": 0,  # images drawn from those to train on; 0: all
                "image_size": 0,  # of the crops, where another size is an error
                "augment": True,  # AdaFace's
                "batch_size": 64,
                "workers": 0,
                "on_bad_image": "error",
                "seed": 0,  # of who is held out, and of the pairs
            },
            "pairs": ConfigDict(),  # {name: {"path": .bin, pairs.txt, .csv or .zip, "images": folder or zip}}
            "alignment": {"images": "", "split": "test", "template": "a photo of a {c}"},
            "steps": 300,
            "optimizer": {
                "name": "adamw",
                "learning_rate": 3e-4,
                "warmup_steps": 20,
                "schedule": "cosine",
                "weight_decay": 0.05,
                "momentum": 0.9,
                "b2": 0.999,
                "clip_norm": 1.0,
            },
            "evaluation": {"batch_size": 64},
            "report": {"pairs": 8},
            "parallel": {"model": 1},
            "log_every": 10,
            "checkpoint_every": 100,
        }
    )


def diagnosis() -> Config:
    """Chest X-rays through descriptors, and the black boxes beside them (`ecor_jax/tasks/concepts/task.py`)."""
    return ConfigDict(
        {
            "task": "diagnosis",
            "seed": 0,
            "model": "",  # model directory or hub id
            "embeddings": "",  # or a file of another dual encoder's embeddings (ecor_jax/tasks/concepts/encoder.py)
            "pretrain": ConfigDict(),  # a pretraining config for the CLIP, where neither is named
            "dtype": "float32",
            # Some of bottleneck, bottleneck_push_absent, bottleneck_no_concept_loss, random_descriptors, black_box,
            # black_box_mlp; the first is saved and explained.
            "methods": "bottleneck,bottleneck_push_absent,random_descriptors,black_box,black_box_mlp",
            "concepts": {
                "source": "labels",  # or reports: descriptors are those of the reports of the training patients
                "descriptors": "xrays",  # of labels: the built-in ones, or a JSON file, its groups named as findings
                "statements": "",  # of reports: statements.jsonl of launch.descriptors; empty: the rules split them
                "sections": "findings+impression",  # of reports, for the rules: or last
                "least": 10,  # of reports: in how many a descriptor must stand
                "most": 200,  # of reports: how many descriptors
                "template": "{d}",
            },
            "head": {
                "adapter": {"width": 32, "alpha": 0.5, "last_relu": False},  # width 0: none
                "start": "zeros",  # of the aggregation matrix, or orthogonal
                "use_bias": True,
                "black_box_width": 64,  # of the hidden layer of black_box_mlp
            },
            "loss": {"concept_weight": 2.0, "class_weights": "none"},  # or balanced, which shifts the probabilities
            "data": {
                "name": "",
                "images": "",  # folder or zip; of MIMIC-CXR-JPG the folder that holds files/
                "tables": "",  # the NIH labels csv, or the folder of MIMIC's tables
                "reports": "",  # MIMIC's folder of reports, if it is another than that of the images
                "findings": "No Finding,Effusion",  # columns; of a single label the classes, the positive last
                "single_label": True,
                "views": "",  # with commas; empty: all
                "uncertain": "drop",  # zeros or ones
                "patients": 0,  # drawn of those with such images; 0: all
                "test": 0.3,  # of the patients; 0: the official split
                "on_missing": "error",  # or skip
                "batch_size": 64,
                "workers": 0,
                "seed": 0,  # of the split by patient
            },
            "steps": 300,
            "optimizer": {
                "name": "adamw",
                "learning_rate": 5e-3,
                "warmup_steps": 0,
                "schedule": "constant",
                "weight_decay": 0.0,
                "momentum": 0.9,
                "b2": 0.999,
                "clip_norm": 0.0,
            },
            "evaluation": {"batch_size": 64, "average": "binary", "resamples": 2000, "explained": 5},
            "report": {"studies": 12},
            "parallel": {"model": 1},
            "log_every": 10,
            "checkpoint_every": 100,
        }
    )

"""ImageNet with 4,246 rationales and deep prompts, which both papers use for large datasets.

    ecor-jax train --config=configs/imagenet.py[:ROW] --workdir=runs/imagenet
    launch/cluster/tpu_vm.sh --config=configs/imagenet.py:l14/pod --workdir=/shared/runs/imagenet

ROW is a CLIP of OpenAI, b32 (the default), b16 or l14, and its hardware: b32 for one machine, b32/pod for a TPU slice,
b32/gpu for nodes of 8 GPUs (launch/cluster/ starts both). b32/dror adds two features of DROR's released code for this
dataset: a learnable frame of 30 pixels, and its scaling of pictures. Needs the weights, and the pictures in the data
folder, or --config.data.images=tfds:imagenet2012 (docs/data_on_pods.md) with --config.data.train_split=train
--config.data.test_split=validation.

Published RR in % (DROR): CLIP 0.68, DROR 3.63; ECOR about 8.9.
Memory per chip: docs/scaling.md lists the compiler's report for every row.
Steps: every row trains on as many pictures as 30,000 steps of 256; larger batches have fewer steps and warm-up steps.
The learning rate of all rows is that for batches of 256, because none is published for larger batches.
"""

from configs.common import check_row, published
from ecor_jax.config.options import Config

MODELS = {
    "b32": "openai/clip-vit-base-patch32",
    "b16": "openai/clip-vit-base-patch16",
    "l14": "openai/clip-vit-large-patch14",
}
# Batch size, and number of devices that share the classes of the vocabulary. Pods are slices of v5e: 4x4, 8x8, 16x16.
PLACES = {
    "pod": {"b32": (1024, 4), "b16": (2048, 4), "l14": (4096, 8)},
    # Two nodes; the eight GPUs of a node share the classes, because they communicate most.
    "gpu": {"b32": (2048, 8), "b16": (1024, 8), "l14": (512, 8)},
}
ROWS = (*MODELS, "b32/dror", *(f"{model}/{place}" for place in PLACES for model in MODELS))


def get_config(row: str = "b32") -> Config:
    check_row(row, ROWS)
    model, _, place = row.partition("/")
    config = published("imagenet", "imagenet", "Our_ImageNet_attribute.json")
    config.model = MODELS[model]
    config.data.slash = " "
    config.data.on_missing = "allow"  # 997 of the 1,000 classes have rationales
    config.data.batch_size = 256
    config.data.workers = -1
    config.loss.gold = "pseudo"
    config.prompts.count, config.prompts.layers = 30, "deep"
    config.optimizer.learning_rate = 10.0
    config.dtype = "bfloat16"
    config.evaluation.calibration = False
    if place == "dror":
        config.prompts.border, config.data.resize = 30, "dror"
    elif place:
        batch, config.parallel.model = PLACES[place][model]
        config.steps, config.optimizer.warmup_steps = (
            steps * config.data.batch_size // batch for steps in (config.steps, config.optimizer.warmup_steps)
        )
        config.data.batch_size = config.evaluation.batch_size = batch
    return config

"""CIFAR-10 with 56 rationales.

    ecor-jax train --config=configs/cifar10.py --workdir=runs/cifar10

Published RR in % (DROR): CLIP 42.57, DROR 70.82; ECOR reports a higher value.
Needs the weights of OpenAI's ViT-L/14.
"""

from configs.common import published
from ecor_jax.config.options import Config


def get_config() -> Config:
    return published("cifar10", "cifar10.zip", "cifar10_text.json")

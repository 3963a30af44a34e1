"""CIFAR-10 with 56 rationales.

    ecor-jax train --config=configs/cifar10.py --workdir=runs/cifar10

Expected: published (DROR, table of RR in %): CLIP 42.57, DROR 70.82; ECOR reports more.
Needs the weights of OpenAI's ViT-L/14.
"""

from configs.common import published
from ecor_jax.config.options import Config


def get_config() -> Config:
    return published("cifar10", "cifar10.zip", "cifar10_text.json")

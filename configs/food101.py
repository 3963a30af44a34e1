"""Food-101 with 399 rationales.

    ecor-jax train --config=configs/food101.py --workdir=runs/food101

Published RR in % (DROR): CLIP 5.73, DROR 25.27; ECOR reports a higher value.
Needs the weights of OpenAI's ViT-L/14.
"""

from configs.common import published
from ecor_jax.config.options import Config


def get_config() -> Config:
    config = published("food101", "food101", "food101_text.json")
    config.data.on_missing = "allow"  # eleven classes have no rationale
    return config

"""SUN397 with 1,700 rationales.

    ecor-jax train --config=configs/sun397.py --workdir=runs/sun397

Published RR in % (DROR): CLIP 0.94, DROR 6.7; ECOR reports a higher value.
Needs the weights of OpenAI's ViT-L/14.
"""

from configs.common import published
from ecor_jax.config.options import Config


def get_config() -> Config:
    config = published("sun397", "sun397", "SUN_text.json")
    config.data.slash = " "
    config.data.on_missing = "allow"  # one class has no rationale
    return config

"""ImageNet with 4,246 rationales; deep prompts, as both papers use for large sets.

    ecor-jax train --config=configs/imagenet.py --workdir=runs/imagenet

Expected: published (DROR, table of RR in %): CLIP 0.68, DROR 3.63; ECOR about 8.9.
Needs the weights of OpenAI's ViT-B/32.
"""

from configs.common import published
from ecor_jax.config import Config


def get_config() -> Config:
    config = published("imagenet", "imagenet", "Our_ImageNet_attribute.json")
    config.model = "openai/clip-vit-base-patch32"
    config.data.slash = " "
    config.data.on_missing = "allow"  # 997 of the 1,000 classes have rationales
    config.data.batch_size = 256
    config.data.workers = 8
    config.loss.gold = "pseudo"
    config.prompts.count, config.prompts.layers = 30, "deep"
    config.optimizer.learning_rate = 10.0
    config.dtype = "bfloat16"
    return config

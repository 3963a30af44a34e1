"""Face verification as in arXiv 2411.04008, section 4.1: 500k images of MS1MV2, five benchmarks, LAION-2B's ViT-L/14.

    ecor-jax train --config=configs/faces_ms1mv2.py[:ROW] --workdir=runs/faces_ms1mv2

ROW is one of configs/face_rows.py. Needs insightface's faces_emore in the data folder, and CIFAR-10 for the alignment
proxy. Published for table6/base_adapter: LFW 98.38, CFP-FP 90.88, CALFW 89.36, AgeDB 81.18, CPLFW 87.71.
"""

from configs.common import data_folder
from configs.face_rows import apply_row
from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.verification.options import VerificationOptions

PAIRS = ("lfw", "cfp_fp", "calfw", "agedb_30", "cplfw")


def get_config(row: str = "table6/base_adapter") -> Config:
    config = defaults(VerificationOptions)
    faces = f"{data_folder()}/faces_emore"
    config.model = "laion/CLIP-ViT-L-14-laion2B-s32B-b82K"
    config.dtype = "bfloat16"
    config.data.name, config.data.images, config.data.image_size = "ms1mv2", f"{faces}/train.rec", 112
    config.data.subset = 500_000
    config.data.batch_size = 512
    config.data.workers = -1
    config.pairs = {name: {"path": f"{faces}/{name}.bin", "images": ""} for name in PAIRS}
    config.alignment.images = f"{data_folder()}/images/cifar10.zip"
    config.bottleneck.adapter.width = 192  # a quarter of the embedding dimension, as in CLIP-Adapter
    config.margin.concentration = 0.33
    config.steps = 5 * 500_000 // 512
    config.optimizer.warmup_steps = 500
    config.evaluation.batch_size = 256
    config.log_every, config.checkpoint_every = 50, 500
    return apply_row(config, row)

"""Prompt tuning on drawings in a style that the shipped CLIP has not seen, as run by `ecor-jax quickstart`.

    ecor-jax train --config=configs/quickstart.py --workdir=DIR

`configs/quickstart.py:from_scratch` first pretrains a smaller CLIP of its own (three minutes on two CPU cores).

Expected: RESULTS.md.
"""

from configs import pretrain_drawings
from configs.common import check_row
from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.rationale.options import RationaleOptions

ROWS = ("shipped", "from_scratch")


def get_config(row: str = "shipped") -> Config:
    check_row(row, ROWS)
    config = defaults(RationaleOptions)
    config.data.name = "drawings"
    config.data.images = "procedural"
    config.data.style = "shifted"
    config.data.train_count, config.data.test_count = 2400, 600
    config.evaluation.causal, config.evaluation.pointing, config.report.saliency = True, "last", True
    config.prompts.count, config.prompts.layers = 8, "deep"
    config.optimizer.learning_rate, config.optimizer.clip_norm = 0.02, 1.0
    config.steps, config.data.batch_size = 200, 32
    if row == "from_scratch":
        config.pretrain = pretrain_drawings.get_config("small")
    else:
        config.model = "drawings"
    return config

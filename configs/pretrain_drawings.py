"""Pretrains a small CLIP on the built-in drawings and their captions: the model that ships as `drawings`.

    ecor-jax train --config=configs/pretrain_drawings.py --workdir=runs/drawings_clip
    ecor-jax convert --source=runs/drawings_clip/model --dtype=bfloat16 --output=ecor_jax/models/drawings

It takes about an hour on two CPU cores. `configs/pretrain_drawings.py:small` is a smaller one, for three minutes, and
`:questions` one that has read answers to questions about drawings (`configs/drawings_questions.py`), for ten minutes.
"""

from configs.common import check_row
from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.pretrain.options import PretrainOptions

ROWS = ("shipped", "small", "questions")


def get_config(row: str = "shipped") -> Config:
    check_row(row, ROWS)
    config = defaults(PretrainOptions)
    config.data.images = "procedural"
    config.data.text_length = 28
    config.data.augment = "none"
    # Most captions match several pictures of a large batch; small batches have fewer false negatives.
    config.data.batch_size = 64
    if row in ("small", "questions"):
        config.data.questions = row == "questions"
        config.model, config.data.count, config.steps = "small/64-16", 8000, 2600
        if config.data.questions:
            config.data.count, config.data.batch_size, config.steps = 20_000, 128, 4000
        config.optimizer.warmup_steps = 50
        return config
    # So many drawings are not kept in memory but drawn as they are needed; each is seen less than once.
    config.model, config.data.count, config.steps = "mini/64-8", 1_000_000, 11_000
    config.optimizer.learning_rate, config.optimizer.warmup_steps = 1.5e-3, 400
    return config

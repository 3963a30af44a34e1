"""Questions about the drawings: an answer as the category, and what supports it as the rationale.

    ecor-jax train --config=configs/drawings_questions.py:QUESTION --workdir=DIR

QUESTION is "colour" (the default), "count", "part", "where" or "caption", in which a pair of an object and a part is a
caption, and captions are ranked by their probability. `data.procedural.questions` says what the answers are and what
supports them. Unless --config.model names a CLIP that knows such sentences, one is pretrained first
(configs/pretrain_drawings.py:questions).

Expected: see RESULTS.md.
"""

from configs import pretrain_drawings
from configs.common import check_row
from ecor_jax.config.options import Config, defaults
from ecor_jax.data.procedural.questions import PROMPTS, QUESTIONS
from ecor_jax.tasks.rationale.options import RationaleOptions


def get_config(question: str = "colour") -> Config:
    check_row(question, QUESTIONS)
    config = defaults(RationaleOptions)
    config.pretrain = pretrain_drawings.get_config("questions")
    config.data.name, config.data.images, config.data.question = question, "procedural", question
    config.data.style = "pretrain"  # other drawings in the style of the pretraining: in others it knows no colours
    config.data.train_count, config.data.test_count = 2400, 600
    config.templates.pair = PROMPTS[question].pair
    config.prompts.count, config.prompts.layers = 8, "deep"
    config.optimizer.learning_rate, config.optimizer.clip_norm = 0.02, 1.0
    config.steps, config.data.batch_size = 200, 32
    return config

"""Questions about the drawings, answered with rationales by the same joint model (configs/drawings_questions.py).

    ecor-jax train --config=configs/pretrain_drawings.py:questions --workdir=runs/questions_clip
    ecor-jax table --config=configs/tables/questions.py[:QUESTION] --workdir=runs/tables/questions

QUESTION is one of data.procedural.questions; "colour" is the default.
"""

import shlex

from configs.common import check_row
from configs.tables.columns import RATIONALES
from ecor_jax.config.options import Config, config_of
from ecor_jax.data.procedural.questions import PROMPTS, QUESTIONS
from ecor_jax.tables.options import Row, Table

UNTUNED, TUNED = ("clip", "ecor_untuned"), ("dror", "ecor")


def get_config(question: str = "colour") -> Config:
    check_row(question, QUESTIONS)
    file = f"configs/drawings_questions.py:{question}"
    alone = shlex.quote(f"templates.pair={PROMPTS[question].answer}")
    return config_of(
        Table(
            title=f"Questions about drawings: {question}",
            about="Doubly right answers (RR: the answer and what supports it are right), strict, top 5 pairs. "
            f"The prompt of a pair is “{PROMPTS[question].pair}”.",
            columns=RATIONALES | {"RR share": "rr_share"},
            rows={method: Row(file, f"method={method}", seeds=("0",)) for method in UNTUNED}
            | {"cci": Row(file, f"method=cci {alone}", seeds=("0",))}
            | {method: Row(file, f"method={method}") for method in TUNED},
            reference="ecor",
            options="model=runs/questions_clip/model",
        )
    )

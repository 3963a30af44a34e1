"""The quickstart with three seeds, in four minutes.

ecor-jax table --config=configs/tables/quickstart.py --workdir=runs/tables/quickstart
"""

from configs.tables.columns import RATIONALES
from ecor_jax.config.options import Config, config_of
from ecor_jax.tables.options import Row, Table

METHODS = ("clip", "dror", "ecor")


def get_config() -> Config:
    return config_of(
        Table(
            title="The quickstart",
            about="Drawings of a style that the CLIP has not seen: 40 classes, 204 rationales, 2,400 drawings to tune "
            "prompts on and 600 to test. RR: the category and the rationale are right; top-1: the likeliest category.",
            columns=RATIONALES,
            rows={method: Row("configs/quickstart.py", method=method) for method in METHODS},
            reference="ecor",
        )
    )

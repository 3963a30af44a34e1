"""Number and place of ECOR's visual prompts: 1 to 64, at the input (shallow) or at every block (deep).

    ecor-jax table --config=configs/tables/prompts.py[:SET] --workdir=runs/tables/prompts

SET is "drawings", the default; "few_drawings", which tunes on a tenth of them; or a set of photographs, "cifar10".
"""

from configs.common import check_row
from configs.tables.columns import RATIONALES, WITHOUT_TESTS
from ecor_jax.config.options import Config, config_of
from ecor_jax.tables.options import Row, Table

SETS = {
    "drawings": ("configs/quickstart.py", WITHOUT_TESTS),
    "few_drawings": ("configs/quickstart.py", f"{WITHOUT_TESTS} data.train_count=240"),
    "cifar10": ("configs/cifar10_small.py", ""),
}
COUNTS = (1, 4, 16, 64)


def get_config(dataset: str = "drawings") -> Config:
    check_row(dataset, SETS)
    file, options = SETS[dataset]
    rows = {"untuned": Row(file, "method=ecor_untuned", seeds=("0",))} | {
        f"{layers}_{count}": Row(file, f"method=ecor prompts.layers={layers} prompts.count={count}")
        for layers in ("shallow", "deep")
        for count in COUNTS
    }
    return config_of(
        Table(
            title=f"Number and place of prompts: {dataset.replace('_', ' ')}",
            about="ECOR with 1 to 64 visual prompts, at the input of the vision tower (shallow) or of every block "
            "(deep); all else is equal, the learning rate too.",
            columns=RATIONALES,
            rows=rows,
            reference="untuned",
            options=options,
        )
    )

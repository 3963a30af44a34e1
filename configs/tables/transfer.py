"""Prompts that were tuned on one data set, judged on the pictures and the vocabulary of another.

    ecor-jax table --config=configs/tables/transfer.py[:SET] --workdir=runs/tables/transfer

SET is the set that is judged: "drawings" (the default; tuned on the style "shifted", judged on the style "target"),
"cifar10" or "caltech101" (tuned on Tiny-ImageNet). Rows `*_own` are tuned on the set that is judged.
"""

from configs.common import check_row
from configs.tables.columns import RATIONALES, WITHOUT_TESTS
from ecor_jax.config.options import Config, config_of
from ecor_jax.tables.options import Row, Table
from ecor_jax.tasks.splits import HOLDOUT

DRAWINGS, TINY = "configs/quickstart.py", "configs/tiny_imagenet_small.py"
SETS = {
    "drawings": (DRAWINGS, "", DRAWINGS, "data.style=target"),
    "cifar10": (TINY, "", "configs/cifar10_small.py", ""),
    "caltech101": (TINY, "", "configs/caltech101_small.py", f"data.test_split={HOLDOUT}"),
}
"""The config and options of the set that is tuned on, and of the set that is judged."""


def get_config(dataset: str = "drawings") -> Config:
    check_row(dataset, SETS)
    tuned_on, its_options, judged, options = SETS[dataset]
    rows = {"tuning": Row(tuned_on, f"method=dror,ecor {its_options}".strip(), shown=False)}
    for method in ("clip", "ecor_untuned"):
        rows[method] = Row(judged, f"method={method} {options}".strip(), seeds=("0",))
    for method in ("dror", "ecor"):
        rows[method] = Row(judged, f"method={method} {options}".strip(), evaluates="tuning")
        rows[f"{method}_own"] = Row(judged, f"method={method} {options}".strip())
    return config_of(
        Table(
            title=f"Prompts tuned elsewhere: {dataset}",
            about="dror and ecor were tuned on another set and are judged on this one, with its pictures and "
            "vocabulary; dror_own and ecor_own were tuned on this one.",
            columns=RATIONALES,
            rows=rows,
            reference="ecor_untuned",
            options=WITHOUT_TESTS if dataset == "drawings" else "",
        )
    )

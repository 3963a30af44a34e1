"""Tables 1 and 4 to 7 of arXiv 2411.04008: face verification through descriptors.

    ecor-jax table --config=configs/tables/faces.py[:DATA/TABLE] --workdir=runs/tables/faces

DATA is "orl", small data with a small CLIP of photographs (the default is orl/all, the rows of tables 5 to 7 and two
controls over descriptors of random letters), or "ms1mv2", the paper's, which needs its data and LAION-2B's ViT-L/14.
"""

from collections.abc import Mapping

from configs.common import SMALL_CLIP, check_row
from configs.faces_ms1mv2 import PAIRS
from ecor_jax.config.options import Config, config_of
from ecor_jax.tables.options import Row, Table

PUBLISHED: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "table1": {"table6/base_adapter": (89.50, 98.38, 90.88, 89.36, 81.18, 87.71)},
    "table4": {
        "table4/b16_datacomp": (68.72,),
        "table4/l14_openai": (71.21,),
        "table4/h14_378_dfn5b": (72.29,),
        "table4/h14_dfn5b": (72.87,),
        "table4/l14_laion2b": (74.11,),
    },
    "table5": {
        "table5/zero_shot": (74.11,),
        "table5/group_softmax": (76.91,),
        "table5/linear": (76.91,),
        "table5/base": (83.72,),
    },
    "table6": {
        "table6/zero_shot": (74.11, 96.91),
        "table6/encoder": (94.80, 12.59),
        "table6/wise": (76.72, 36.16),
        "table6/adapter": (83.50, 96.82),
        "table6/base": (83.72, 93.59),
        "table6/base_adapter": (89.50, 94.27),
    },
    "table7": {"table7/cosface": (80.14,), "table7/arcface": (83.24,), "table7/adaface": (89.50,)},
}
"""The rows of each table, and their published values in per cent in the order of its columns."""
COLUMNS = {
    "orl": {"mean": "average", "ORL": "verification.orl.accuracy"}
    | {"celebrities": "verification.celebrity_pairs.accuracy"},
    "ms1mv2": {"mean": "average"} | {name: f"verification.{name}.accuracy" for name in PAIRS},
}
ALIGNMENT = {"alignment": "alignment_proxy"}
UNTUNED = ("zero_shot", "group_softmax", "linear")
SCRAMBLED = {"group_softmax": "table5/group_softmax", "base_adapter": "table6/base_adapter"}
"""Rows that `orl/all` also has over descriptors of random letters."""


def get_config(asked: str = "orl/all") -> Config:
    check_row(asked, [f"{data}/{number}" for data in COLUMNS for number in ("all", *PUBLISHED)])
    data, _, number = asked.partition("/")
    tables = ("table5", "table6", "table7") if number == "all" else (number,)
    rows, published, file = {}, {}, f"configs/faces_{data}.py"
    for name in tables:
        names = ("mean", *PAIRS) if name == "table1" else ("mean", "alignment")
        for row, values in PUBLISHED[name].items():
            short = row.rpartition("/")[2]
            seeds = ("0",) if short in UNTUNED or name == "table4" else ()
            if short != "adaface" or number != "all":  # the same as base_adapter
                rows.setdefault(short, Row(f"{file}:{row}", seeds=seeds))
                published[short] = published.get(short, {}) | dict(zip(names, values, strict=False))
    if number == "all":
        for short, row in SCRAMBLED.items():
            rows[f"{short}_random"] = Row(f"{file}:{row}", "bottleneck.scrambled=True")
    if data == "orl":
        published = {}  # the mean is that of other sets
    return config_of(
        Table(
            title=f"Face verification: {data}" + ("" if number == "all" else f", {number}"),
            about="Accuracy of 1:1 verification by insightface's ten folds, and zero-shot accuracy on CIFAR-10 "
            "(alignment) after tuning. The intervals take pairs as independent; pairs that share a picture are not.",
            columns=COLUMNS[data] | ALIGNMENT,
            rows=rows,
            reference="base_adapter" if "base_adapter" in rows else next(iter(rows)),
            options="" if data == "ms1mv2" or number == "table4" else f"model={SMALL_CLIP}",
            published=published,
            source="arXiv 2411.04008, LAION-2B's ViT-L/14" if published else "",
        )
    )

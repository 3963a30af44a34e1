"""ECOR's main table, its ablations (order, conditioning, independence, a shorter prompt), and its successor CCI.

    ecor-jax table --config=configs/tables/rationales.py:SET --workdir=runs/tables/rationales_SET

SET is one of SETS; "drawings" is the default and needs nothing but this package. Those of "published/" need the
published CLIP and the whole data sets. `ecor_untuned` asks the untuned CLIP in ECOR's way. cci, cci_cone and cci_mean
(arXiv 2508.14280) condition on a rationale without training and without a prompt of both: three readings of the paper's
abstract (`tasks.rationale.joint.conditioned`). cci_tuned is the first of them with tuned prompts.

Published: DROR (arXiv 2212.06202), table 2, RR of CLIP and DROR. ECOR's paper (arXiv 2404.12839) has more RR on all.
"""

from configs.common import check_row
from configs.tables.columns import RATIONALES, WITHOUT_TESTS
from ecor_jax.config.options import Config, config_of
from ecor_jax.tables.options import Row, Table

SETS = {
    "drawings": "configs/quickstart.py",
    "tiny_imagenet": "configs/tiny_imagenet_small.py",
    "cifar10": "configs/cifar10_small.py",
    "caltech101": "configs/caltech101_small.py",
    "published/cifar10": "configs/cifar10.py",
    "published/cifar100": "configs/cifar100.py",
    "published/food101": "configs/food101.py",
    "published/caltech101": "configs/caltech101.py",
    "published/sun397": "configs/sun397.py",
    "published/imagenet": "configs/imagenet.py",
}
UNTUNED = ("clip", "ecor_untuned", "cci", "cci_cone", "cci_mean")
TUNED = ("dror", "ecor", "ecor_reversed", "ecor_independent", "ecor_false_condition", "ecor_short", "cci_tuned")
RR = {
    "cifar10": (42.57, 70.82),
    "cifar100": (6.43, 22.27),
    "food101": (5.73, 25.27),
    "caltech101": (5.99, 23.64),
    "sun397": (0.94, 6.70),
    "imagenet": (0.68, 3.63),
}
"""Published RR in per cent of CLIP and DROR."""


def get_config(dataset: str = "drawings") -> Config:
    check_row(dataset, SETS)
    file, name = SETS[dataset], dataset.rpartition("/")[2]
    untuned = {method: Row(file, f"method={method}", seeds=("0",)) for method in UNTUNED}
    published = dict(zip(("clip", "dror"), RR.get(name, ()), strict=False))
    return config_of(
        Table(
            title=f"Rationales: {name}",
            about="Doubly right recognition (RR: the category and the rationale are right) by the order and the "
            "prompts in which a method asks. Strict evaluation, top 5 pairs; top-1 is the likeliest category. RR share "
            "is the share of right ones among the given rationales, 0 where the category is wrong.",
            columns=RATIONALES | {"RR share": "rr_share"},
            rows=untuned | {method: Row(file, f"method={method}") for method in TUNED},
            reference="ecor",
            options=WITHOUT_TESTS if name == "drawings" else "",
            published={method: {"RR": value} for method, value in published.items()},
            source="DROR, arXiv 2212.06202, OpenAI's ViT-L/14 (ImageNet: ViT-B/32)" if published else "",
        )
    )

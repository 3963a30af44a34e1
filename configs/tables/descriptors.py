"""Caltech-101 through descriptors, with controls: random letters, heads without descriptors, zero-shot.

ecor-jax table --config=configs/tables/descriptors.py --workdir=runs/tables/descriptors
"""

from configs.caltech101_descriptors import METHODS
from ecor_jax.config.options import Config, config_of
from ecor_jax.tables.options import Row, Table


def get_config() -> Config:
    return config_of(
        Table(
            title="Caltech-101 through descriptors",
            about="96 classes, 459 descriptors; the test split is a quarter of each class. The weights with the best "
            "accuracy on a validation split are kept.",
            columns={"accuracy": "accuracy", "macro F1": "f1", "AUROC": "auroc"},
            rows={name: Row("configs/caltech101_descriptors.py", method=name) for name in METHODS},
            reference="bottleneck",
        )
    )

"""What the concepts of a bottleneck are worth, with random letters beside them.

    ecor-jax table --config=configs/tables/bottlenecks.py[:SET] --workdir=runs/tables/bottlenecks

SET is "drawings", the default, where it is known what each picture shows, or "caltech101".
"""

from configs.common import check_row
from ecor_jax.config.options import Config, config_of
from ecor_jax.tables.options import Row, Table

SETS = {
    "drawings": ("configs/drawings_descriptors.py", ""),
    "caltech101": ("configs/caltech101_descriptors.py", "evaluation.measures=sparsity,decomposition"),
}
METHODS = ("bottleneck", "bottleneck_no_concept_loss", "random_descriptors")
ANY = {
    "accuracy": "accuracy",
    "NEC 5": "sparsity.nec_5",
    "ANEC": "sparsity.anec",
    "NCC": "sparsity.ncc",
    "L0": "decomposition.l0",
    "cosine": "decomposition.cosine",
}
DRAWN = {
    "5 at random": "interventions.random_5",
    "20 at random": "interventions.random_20",
    "20 uncertain": "interventions.uncertain_20",
    "20 largest": "interventions.contribution_20",
    "leakage of 5": "leakage.leakage_5",
    "leakage of 20": "leakage.leakage_20",
    "precision at 5": "decomposition.precision_at_5",
}


def get_config(dataset: str = "drawings") -> Config:
    check_row(dataset, SETS)
    config, options = SETS[dataset]
    return config_of(
        Table(
            title=f"Concepts of a bottleneck: {dataset}",
            about="NEC 5, ANEC: accuracy of a sparse layer with 5, and with 5 to 30 effective concepts a class. NCC: "
            "concepts that make 95 % of a logit's contributions. L0, cosine: of a sparse decomposition of an image's "
            "embedding into descriptors, and of that to the embedding; the head does not enter it."
            + (
                " 20 at random, uncertain, largest: accuracy after so many concepts were corrected in this order. "
                "Leakage of 5: accuracy from the scores of 5 random concepts, less that from their truth. Precision at "
                "5: the share of the decomposition's 5 largest descriptors that the drawing shows."
                if dataset == "drawings"
                else ""
            ),
            columns=ANY | (DRAWN if dataset == "drawings" else {}),
            plain=("NCC", "L0"),
            rows={name: Row(config, f"methods={','.join(METHODS)}", method=name) for name in METHODS},
            reference="bottleneck",
            options=options,
        )
    )

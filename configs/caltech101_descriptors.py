"""Classification of Caltech-101 through descriptors, with the small CLIP of configs/pretrain_photographs.py.

    ecor-jax train --config=configs/caltech101_descriptors.py --workdir=runs/caltech101_descriptors

Compares a bottleneck over the descriptors of all classes with zero-shot classification by class names, by the mean of
the descriptors (Menon and Vondrick 2023) or of random letters (Roth et al. 2023), and with heads without descriptors.
The weights of every head with the best accuracy on the validation split, a quarter of the training pictures, are
kept; the test split is evaluated once. With `--config.concepts.template="a photo of a {c}, which has {d}"`, equal
descriptors of different classes are different concepts.

Expected: see RESULTS.md.
"""

from configs.common import SMALL_CLIP, data_folder
from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.concepts.options import ConceptsOptions

METHODS = (
    "bottleneck",
    "bottleneck_no_concept_loss",
    "random_descriptors",
    "black_box",
    "black_box_mlp",
    "zero_shot",
    "mean_descriptors",
    "mean_random_descriptors",
)


def get_config() -> Config:
    config = defaults(ConceptsOptions)
    config.model = SMALL_CLIP
    config.methods = ",".join(METHODS)
    config.concepts.descriptors = f"{data_folder()}/rationales/caltech101_text.json"
    config.concepts.template = "a photo of a thing with {d}"
    config.data.name = "caltech101"
    config.data.images = f"{data_folder()}/images/caltech101.zip"
    config.data.aliases = "faces easy=person"
    config.data.on_missing = "allow"  # four classes have no descriptor
    config.data.holdout, config.data.validation = 0.25, "0.25"
    config.steps, config.eval_every, config.best = 1500, 100, "accuracy"
    return config

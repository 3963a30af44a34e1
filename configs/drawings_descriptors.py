"""Classification of the built-in drawings through their parts, with the CLIP that ships.

    ecor-jax train --config=configs/drawings_descriptors.py --workdir=runs/drawings_descriptors

What each drawing shows is known, so that concepts can be corrected and leakage be measured.

Expected: see RESULTS.md.
"""

from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.concepts.options import ConceptsOptions


def get_config() -> Config:
    config = defaults(ConceptsOptions)
    config.model = "drawings"
    config.methods = "bottleneck,bottleneck_no_concept_loss,random_descriptors,black_box,black_box_mlp"
    config.data.name, config.data.images, config.data.style = "drawings", "procedural", "shifted"
    config.data.train_count, config.data.test_count = 2400, 600
    config.concepts.template = "a drawing of a thing with {d}"
    config.evaluation.measures = "sparsity,interventions,leakage,decomposition"
    config.steps = 1500
    return config

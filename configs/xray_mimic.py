"""Pleural effusion on MIMIC-CXR-JPG as in arXiv 2411.04008, section 4.2: 10 epochs of about 20,000 images.

    ecor-jax train --config=configs/xray_mimic.py --workdir=runs/xray_mimic --config.model=models/chexzero

Images and tables are MIMIC-CXR-JPG's, reports MIMIC-CXR's (`files/` of both in one folder, or --config.data.reports);
the descriptors come from the training patients' reports. Published for a random 85:15 split: accuracy 83.78, precision
84.77, recall 83.78, F1 84.19. This config uses the official split, because encoders of chest X-rays (CheXzero, BioViL,
probably the paper's) were trained on MIMIC's training patients, and a random split would test on many of these. BioViL
is not a CLIP; its embeddings can be read from a file (--config.embeddings, ecor_jax/features/encoders.py). The authors
have not run this config, because they have no MIMIC data. Research software; no medical device.
"""

from configs.common import data_folder
from ecor_jax.config.options import Config, defaults
from ecor_jax.tasks.concepts.options import ConceptsOptions


def get_config() -> Config:
    config = defaults(ConceptsOptions)
    config.data.kind = "xrays"
    folder = f"{data_folder()}/mimic-cxr"
    config.model = "models/chexzero"
    config.concepts.source = "reports"
    config.data.name = "mimic-cxr"
    config.data.images = config.data.tables = folder
    config.data.findings = "No Finding,Pleural Effusion"
    config.data.test = 0.0
    # About 20,000 images of the two classes.
    config.data.patients = 9000
    config.evaluation.average = "weighted"
    # Ten epochs of 20,000 images.
    config.steps = 3120
    config.log_every, config.checkpoint_every = 50, 500
    return config

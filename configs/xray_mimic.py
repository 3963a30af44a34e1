"""Pleural effusion on MIMIC-CXR-JPG, after the paper (arXiv 2411.04008, section 4.2): 10 epochs of about 20,000 images.

    ecor-jax train --config=configs/xray_mimic.py --workdir=runs/xray_mimic --config.model=models/chexzero

Images and tables are MIMIC-CXR-JPG's, reports MIMIC-CXR's (`files/` of both in one folder, or --config.data.reports);
descriptors come from the training patients' reports. Expected in the paper: accuracy 83.78, precision 84.77, recall
83.78, F1 84.19, of a random 85:15 split. Here the official split is taken: encoders of chest X-rays (CheXzero, BioViL,
most likely the paper's) were trained on MIMIC's training patients, of whom a random split would test on many. BioViL's
towers are no CLIP's: embeddings of theirs go in as a file (--config.embeddings,
ecor_jax/features/encoders.py). Not run by the authors, who have no MIMIC data. Research software; no medical
device.
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
    # 20,000 images, ten times.
    config.steps = 3120
    config.log_every, config.checkpoint_every = 50, 500
    return config

"""Explainable image recognition with CLIP, in JAX."""

import os

# Tokenizers are all that is used of transformers, which without PyTorch says that it has no models.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")

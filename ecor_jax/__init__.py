"""Explainable image recognition with CLIP, in JAX."""

"""Benchmarks against other implementations of the same work, which `ecor-jax benchmark` runs."""

"""Runs `ecor-jax benchmark` as `python -m launch.benchmark`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("benchmark")

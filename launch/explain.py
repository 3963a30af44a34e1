"""Runs `ecor-jax explain` as `python -m launch.explain`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("explain")

"""Runs `ecor-jax evaluate` as `python -m launch.evaluate`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("evaluate")

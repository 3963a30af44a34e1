"""Runs `ecor-jax table` as `python -m launch.table`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("table")

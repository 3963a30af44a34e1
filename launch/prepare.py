"""Runs `ecor-jax prepare` as `python -m launch.prepare`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("prepare")

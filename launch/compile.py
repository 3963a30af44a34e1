"""Runs `ecor-jax compile` as `python -m launch.compile`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("compile")

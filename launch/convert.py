"""Runs `ecor-jax convert` as `python -m launch.convert`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("convert")

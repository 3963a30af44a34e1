"""Runs `ecor-jax descriptors` as `python -m launch.descriptors`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("descriptors")

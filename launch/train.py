"""Runs `ecor-jax train` as `python -m launch.train`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("train")

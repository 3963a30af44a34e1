"""Runs `ecor-jax push` as `python -m launch.push`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("push")

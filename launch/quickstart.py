"""Runs `ecor-jax quickstart` as `python -m launch.quickstart`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("quickstart")

"""Runs `ecor-jax demo` as `python -m launch.demo`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("demo")

"""`python -m launch.quickstart`, which is `ecor-jax quickstart`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("quickstart")

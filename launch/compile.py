"""`python -m launch.compile`, which is `ecor-jax compile`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("compile")

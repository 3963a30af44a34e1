"""`python -m launch.evaluate`, which is `ecor-jax evaluate`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("evaluate")

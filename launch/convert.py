"""`python -m launch.convert`, which is `ecor-jax convert`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("convert")

"""`python -m launch.prepare`, which is `ecor-jax prepare`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("prepare")

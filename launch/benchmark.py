"""`python -m launch.benchmark`, which is `ecor-jax benchmark`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("benchmark")

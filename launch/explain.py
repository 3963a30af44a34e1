"""`python -m launch.explain`, which is `ecor-jax explain`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("explain")

"""`python -m launch.train`, which is `ecor-jax train`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("train")

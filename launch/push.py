"""`python -m launch.push`, which is `ecor-jax push`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("push")

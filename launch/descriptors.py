"""`python -m launch.descriptors`, which is `ecor-jax descriptors`."""

from ecor_jax.commands import run

if __name__ == "__main__":
    run("descriptors")

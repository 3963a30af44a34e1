"""`python -m launch.descriptors`, which is `ecor-jax descriptors`."""

import sys

from ecor_jax.commands import run

if __name__ == "__main__":
    run("descriptors", sys.argv[1:], "python -m launch.descriptors")

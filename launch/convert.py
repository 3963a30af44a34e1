"""`python -m launch.convert`, which is `ecor-jax convert`."""

import sys

from ecor_jax.commands import run

if __name__ == "__main__":
    run("convert", sys.argv[1:], "python -m launch.convert")

"""`python -m launch.evaluate`, which is `ecor-jax evaluate`."""

import sys

from ecor_jax.commands import run

if __name__ == "__main__":
    run("evaluate", sys.argv[1:], "python -m launch.evaluate")

"""`python -m launch.prepare`, which is `ecor-jax prepare`."""

import sys

from ecor_jax.commands import run

if __name__ == "__main__":
    run("prepare", sys.argv[1:], "python -m launch.prepare")

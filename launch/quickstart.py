"""`python -m launch.quickstart`, which is `ecor-jax quickstart`."""

import sys

from ecor_jax.commands import run

if __name__ == "__main__":
    run("quickstart", sys.argv[1:], "python -m launch.quickstart")

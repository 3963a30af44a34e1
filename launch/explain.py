"""`python -m launch.explain`, which is `ecor-jax explain`."""

import sys

from ecor_jax.commands import run

if __name__ == "__main__":
    run("explain", sys.argv[1:], "python -m launch.explain")

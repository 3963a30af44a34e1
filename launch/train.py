"""`python -m launch.train`, which is `ecor-jax train`."""

import sys

from ecor_jax.commands import run

if __name__ == "__main__":
    run("train", sys.argv[1:], "python -m launch.train")

"""The commands of ecor_jax/commands as modules: `python -m launch.NAME` from the root of a clone is `ecor-jax NAME`."""

import sys

from ecor_jax import stopping

# Before anything that takes time is imported. Python calls the program `-m` as long as it looks for the module.
if sys.argv[0] == "-m" or stopping.starter() is not None:
    stopping.install()

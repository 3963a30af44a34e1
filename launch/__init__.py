"""The commands of ecor_jax/commands as modules: `python -m launch.NAME` from the root of a clone is `ecor-jax NAME`."""

import sys

from ecor_jax import stopping

# Before slow imports, so that early signals are handled. sys.argv[0] is "-m" while Python locates the module.
if sys.argv[0] == "-m" or stopping.starter() is not None:
    stopping.install()

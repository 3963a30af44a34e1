"""Commands, run from the repository root as `python -m launch.NAME`; each takes `--help`."""

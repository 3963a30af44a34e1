"""Configs of `ecor-jax train`: each file has `get_config()`, and the command and expected results in its docstring."""

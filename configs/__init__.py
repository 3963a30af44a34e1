"""One file a run: `get_config()`, with the command and what to expect in its docstring."""

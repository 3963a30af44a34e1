"""A page in the browser to try a model on pictures: `ecor-jax demo`.

Gradio (the extra `demo`) is imported by the functions that need it, because importing it takes seconds and reads the
environment variables that `serve` sets.
"""

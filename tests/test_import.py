"""Importing the package changes nothing that other code of the process would notice."""

import json
import os
import subprocess
import sys

import pytest

OBSERVE = """
import importlib, json, os, pkgutil, signal, sys, threading
import flax.nnx, grain, jax, numpy, optax, orbax.checkpoint, PIL.Image, safetensors, scipy.special, tqdm, transformers

def observed():
    mask = os.umask(0)
    os.umask(mask)
    handlers = [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    hooks = [id(hook) for hook in (sys.excepthook, sys.unraisablehook, vars(tqdm.tqdm)["__init__"])]
    config = [jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision]
    return [PIL.Image.MAX_IMAGE_PIXELS, mask, handlers, hooks, config, threading.active_count()]

before, environment = observed(), dict(os.environ)
import ecor_jax
for module in pkgutil.walk_packages(ecor_jax.__path__, "ecor_jax."):
    if not module.name.startswith("ecor_jax.benchmarks"):  # peers that import PyTorch
        importlib.import_module(module.name)
changed = sorted(name for name, value in os.environ.items() if environment.get(name) != value)
print(json.dumps([before, observed(), changed, jax._src.xla_bridge.backends_are_initialized()]))
"""


@pytest.mark.slow
def test_importing_every_module_changes_nothing_around_it():
    done = subprocess.run([sys.executable, "-c", OBSERVE], env=os.environ, capture_output=True, text=True, check=True)
    before, after, environment, backend_started = json.loads(done.stdout)
    assert after == before
    others = {name for name in environment if name.startswith("KMP_")}  # threadpoolctl's, which scikit-learn imports
    assert set(environment) - others <= {"XLA_FLAGS", "TRANSFORMERS_NO_ADVISORY_WARNINGS"}
    assert not backend_started

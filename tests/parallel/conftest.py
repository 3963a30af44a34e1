"""Steps of shapes, for eight devices of this machine or for chips that are not here."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import pytest

from ecor_jax.aot.chips import target
from ecor_jax.aot.compiled import Step
from ecor_jax.aot.steps import Sizes
from ecor_jax.config.files import load_config
from ecor_jax.parallel.mesh import FSDP, make_mesh
from ecor_jax.tasks.base import options_of


@pytest.fixture
def devices(request) -> list[Any]:
    """Eight: "cpu", or a topology of chips to compile for."""
    if request.param == "cpu":
        return jax.devices()
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip('needs libtpu: pip install "ecor-jax[aot]"')
    return target(request.param).devices


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory) -> Path:
    """A model directory without weights: three blocks of width 64 on 17 tokens, whose embeddings are as wide."""
    tower = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 256}
    text = tower | {"vocab_size": 500, "max_position_embeddings": 16, "eos_token_id": 2, "hidden_act": "gelu"}
    vision = tower | {"image_size": 32, "patch_size": 8, "hidden_act": "gelu"}
    fields = {"model_type": "clip", "projection_dim": 64, "text_config": text, "vision_config": vision}
    folder = tmp_path_factory.mktemp("small")
    (folder / "config.json").write_text(json.dumps(fields))
    return folder


@pytest.fixture(scope="session")
def step_ahead() -> Callable[..., Step]:
    """The step of a config on the given devices, and how many share the candidates."""

    def make(config: str, overrides: list[str], devices: Any, model: int, name="train", *, split=False, **sizes):
        task, options = options_of(load_config(config, [*overrides, f"parallel.fsdp={split}"]))
        with FSDP(split):
            return task.aot_steps(options, make_mesh(model, devices), Sizes(**sizes))[name]

    return make

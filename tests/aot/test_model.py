"""A step compiled ahead of time is the one that training runs: the same shapes, in the same places."""

import types

import jax
import pytest

from ecor_jax.aot.steps import Sizes
from ecor_jax.config.files import load_config
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.base import options_of
from ecor_jax.training import loop, step


class Called(Exception):
    """The first step, with its arguments."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "config, overrides",
    [
        ("folder.py", ["method=ecor"]),
        ("folder.py", ["method=dror", "prompts.layers=deep", "dtype=bfloat16"]),
        ("folder.py", ["method=ecor_independent", "optimizer.name=sgd"]),
        ("pretrain_drawings.py", ["data.count=16"]),
        ("faces_orl.py", ["margin.name=arcface"]),
    ],
)
def test_the_steps_arguments(config, overrides, request, tiny_clip, tiny_pictures, tmp_path, monkeypatch):
    if config == "folder.py":
        images, rationales = tiny_pictures
        overrides = [*overrides, f"data.images={images}", f"data.rationales={rationales}", "evaluation.batch_size=8"]
    elif config == "faces_orl.py":
        monkeypatch.setenv("ECOR_DATA", str(request.getfixturevalue("shared_data")))
    overrides = [*overrides, f"model={tiny_clip}", "data.batch_size=8", "parallel.model=2"]
    kind, options = options_of(load_config(config, overrides))
    task = kind(options, training=True)
    task.open(options.model)

    def called(*arguments):
        raise Called(arguments)

    instead = types.SimpleNamespace(**vars(jax) | {"jit": lambda step, **options: types.SimpleNamespace(trace=called)})
    monkeypatch.setattr(step, "jax", instead)
    method = next(iter(task.methods))
    with pytest.raises(Called) as real:
        loop.train(task.learner(method), options, tmp_path, method)

    def places(tree):
        told = [(path, leaf.shape, leaf.dtype, leaf.sharding) for path, leaf in jax.tree.leaves_with_path(tree)]
        # As a number of a step, what is on every device needs no mesh.
        return [(jax.tree_util.keystr(path), shape, dtype, None if where.is_fully_replicated else where.spec)
                for path, shape, dtype, where in told]  # fmt: skip

    monkeypatch.setattr(step, "jax", jax)
    ahead = kind.aot_steps(options, make_mesh(2), Sizes())["train"]
    assert places(ahead.arguments) == places(real.value.args[0])

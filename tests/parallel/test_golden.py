"""Every array of a step by path, shape and place on a mesh of 4 x 2 devices, held against a file for each task.

After a change that is meant: RENEW_GOLDEN=1 python -m pytest tests/parallel/test_golden.py, and read the difference.
"""

import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

from ecor_jax.aot.compiled import Step
from ecor_jax.aot.steps import shapes_of, train_step
from ecor_jax.bottleneck.head import Bottleneck
from ecor_jax.config.files import load_config
from ecor_jax.parallel.mesh import FSDP, make_mesh, shardings
from ecor_jax.tasks.base import options_of
from ecor_jax.tasks.concepts.model import ConceptsLearner, HeadLoss

GOLDEN = Path(__file__).parent / "golden"
B32 = "model=openai/clip-vit-base-patch32"
TASKS = {
    "rationale": ("imagenet.py", [], {"classes": 997, "rationales": 4246}),
    "verification": ("faces_ms1mv2.py", [B32, "bottleneck.tuned=adapter,last_mlp,aggregation"], {"identities": 85742}),
    "pretrain": ("pretrain_drawings.py", [B32], {}),
    "concepts": ("xray_nih.py", [], {}),
}
HEAD = """# On a mesh of data 4 x model 2: path, shape, where it is part of the step | its place.
# A place: whole, or by axis of the array the axes of the mesh it is split over; what it is stored as > what it is used
# as (blocks [layers, ...] one at a time); of fsdp: the place with that option, if it is another one.
"""


@pytest.mark.parametrize("task", TASKS)
def test_where_arrays_lie(task, step_ahead):
    config, overrides, sizes = TASKS[task]
    make = heads_step if task == "concepts" else step_ahead
    plain, towers = (
        described(make(config, overrides, jax.devices(), 2, split=split, **sizes).arguments, split)
        for split in (False, True)
    )
    siblings: dict[tuple[str, ...], list[str]] = {}  # these are one line
    for (path, shape), (parts, place) in plain.items():
        parts_in_shares, split = towers[path, shape]
        assert parts_in_shares == parts
        told = place if split == place else f"{place}   fsdp: {split}"
        *front, parent, last = ["", *path.split("/")]
        siblings.setdefault(("/".join(front), last, shape, " ".join(dict.fromkeys(parts)), told), []).append(parent)
    found = HEAD
    for (front, last, shape, parts, told), parents in siblings.items():
        together = parents[0] if len(parents) == 1 else "{" + ",".join(parents) + "}"
        found += f"{'/'.join(filter(None, (front, together, last))).lstrip('/')}  {shape}  {parts} | {told}\n"
    path = GOLDEN / f"{task}.txt"
    if os.environ.get("RENEW_GOLDEN"):
        path.write_text(found)
    assert found.splitlines() == path.read_text().splitlines(), "see the docstring of this file"


def described(arguments: Any, split: bool) -> dict[tuple[str, str], tuple[list[str], str]]:
    """By path and shape: of which parts of the arguments it is, and its place."""
    mesh = make_mesh(2)
    with FSDP(split):
        used = shardings(arguments, mesh, used=True)
    found: dict[tuple[str, str], tuple[list[str], str]] = {}
    leaves = zip(jax.tree_util.tree_leaves_with_path(arguments), jax.tree.leaves(used), strict=True)
    for (path, leaf), use in leaves:
        names = [key.key for key in path if isinstance(key, jax.tree_util.DictKey)]
        fields = [key.name for key in path if isinstance(key, jax.tree_util.GetAttrKey)]
        if path[0].idx == 0:  # of the state: its field, and which of the optimizer's
            part = fields[-1] if fields[0] == "optimizer" else fields[0]
        else:
            part = ("frozen", "batch")[path[0].idx - 1]
        place = spec(leaf.sharding.spec)
        if part != "batch" and spec(use.spec) != place:
            place += f" > {spec(use.spec)}"
        key = ("/".join(map(str, names)) or part, "x".join(map(str, leaf.shape)) or "scalar")
        parts, known = found.get(key, ([], place))
        found[key] = ([*parts, part] if known == place else [part], place)
    return found


def spec(places: PartitionSpec) -> str:
    """`whole`, or `-, data+model` of an array that is split by its second axis."""
    axes = ["-" if axis is None else axis if isinstance(axis, str) else "+".join(axis) for axis in places]
    return ", ".join(axes) or "whole"


def heads_step(config: str, overrides: list[str], devices: Any, model: int, *, split: bool) -> Step:
    """Of the concept bottleneck, whose heads are trained on features of 512 numbers, 6 descriptors and 2 classes."""
    _, options = options_of(load_config(config, overrides))
    bank, arguments = np.zeros((6, 512), np.float32), {"scale": 100.0, "size": 2, "init": "zeros", "use_bias": True}
    loss = HeadLoss(True, np.ones(2, np.float32))

    def learner() -> ConceptsLearner:
        return ConceptsLearner(Bottleneck(bank, None, **arguments, rngs=nnx.Rngs(0)), None, loss)  # pyright: ignore

    shapes = {"features": ((512,), jnp.float32), "target": ((2,), jnp.float32), "present": ((6,), jnp.bool_)}
    batch = {name: jax.ShapeDtypeStruct((16, *shape), dtype) for name, (shape, dtype) in shapes.items()}
    with FSDP(split):
        return train_step(shapes_of(learner), options, make_mesh(model, devices), batch)

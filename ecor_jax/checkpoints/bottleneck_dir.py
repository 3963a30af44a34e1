"""A bottleneck on disk: the tuned CLIP as an ordinary model directory, with `ecor.json` and the head beside it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ecor_jax.bottleneck import Adapter, Bottleneck
from ecor_jax.checkpoints.model_dir import Model, load_clip, new_directory, write_clip
from ecor_jax.checkpoints.tuned import DESCRIPTION
from ecor_jax.checkpoints.weights import weights_digest
from ecor_jax.clip.model import Clip
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.errors import UserError

HEAD = "bottleneck.safetensors"
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class SavedBottleneck:
    """What a model directory of a bottleneck holds.

    model: the CLIP, its image encoder as tuned. output: which representation decides (`tasks.verification.OUTPUTS`).
    threshold: cosine above which two pictures are taken for the same; None where it was never chosen.
    """

    model: Model
    bottleneck: Bottleneck
    descriptors: Descriptors
    template: str
    output: str
    threshold: float | None


def save_bottleneck(directory: Path, saved: SavedBottleneck, clip: Clip) -> None:
    """Writes a model directory, whole or not at all, in the place of an older one; `clip` is the tuned CLIP."""
    bottleneck, adapter = saved.bottleneck, saved.bottleneck.adapter
    description = {
        "format": FORMAT,
        "method": "bottleneck",
        "clip_sha256": weights_digest(clip),
        "template": saved.template,
        "output": saved.output,
        "threshold": saved.threshold,
        "grouped": bottleneck.groups is not None,
        "scale": bottleneck.scale,
        "size": bottleneck.aggregation.out_features,
        "use_bias": bottleneck.aggregation.bias is not None,
        "adapter": adapter
        and {"width": adapter.down.out_features, "alpha": adapter.alpha, "last_relu": adapter.last_relu},
        "groups": saved.descriptors.as_groups(),
    }
    with new_directory(directory, overwrite=True) as partial:
        write_clip(partial, clip, saved.model.tokenizer, saved.model.preprocess)
        save_file(_tensors(bottleneck), partial / HEAD)
        text = json.dumps(description, indent=2, ensure_ascii=False)
        (partial / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def is_bottleneck(directory: Path) -> bool:
    """Whether a model directory has a descriptor bottleneck."""
    return (directory / HEAD).is_file()


def load_bottleneck(source: str | Path, *, dtype=jnp.float32) -> SavedBottleneck:
    """UserError if the directory is no bottleneck's, or its parts do not fit each other."""
    model = load_clip(source, dtype=dtype)
    path = model.path / DESCRIPTION
    if not is_bottleneck(model.path):
        raise UserError(f"{model.path}: no descriptor bottleneck ({HEAD}); train one with launch.train")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        if description["format"] != FORMAT:
            raise UserError(f"{path}: format {description['format']!r}; this version reads {FORMAT}")
        if description["clip_sha256"] != model.digest:
            raise UserError(
                f"{path}: belongs to other weights (sha256 {description['clip_sha256'][:12]}) than lie beside it "
                f"({model.digest[:12]})"
            )
        descriptors = Descriptors.from_groups(description["groups"], str(path))
        bottleneck = _read_head(description, descriptors, model.clip.config.embed_dim, model.path / HEAD)
        threshold = description["threshold"]
        return SavedBottleneck(
            model,
            bottleneck,
            descriptors,
            str(description["template"]),
            str(description["output"]),
            None if threshold is None else float(threshold),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise UserError(f"{path}: not a description of a bottleneck ({error!r})") from error


def _read_head(description: dict[str, Any], descriptors: Descriptors, embed_dim: int, path: Path) -> Bottleneck:
    tensors = load_file(path)
    adapter = description["adapter"] and Adapter(embed_dim, **description["adapter"], rngs=nnx.Rngs(0))
    bottleneck = Bottleneck(
        np.zeros((len(descriptors.phrases), embed_dim), np.float32),
        descriptors.group_of if description["grouped"] else None,
        scale=description["scale"],
        size=description["size"],
        start="orthogonal",
        use_bias=description["use_bias"],
        adapter=adapter,
        rngs=nnx.Rngs(0),
    )
    graph, state = nnx.split(bottleneck)
    flat = dict(nnx.to_flat_state(state))
    names = {".".join(map(str, key)): key for key in flat}
    if names.keys() != tensors.keys():
        raise UserError(f"{path}: holds {', '.join(sorted(tensors))}; expected {', '.join(sorted(names))}")
    for name, key in names.items():
        found, expected = tensors[name], flat[key]
        if (found.shape, found.dtype) != (expected.shape, expected.dtype):
            raise UserError(
                f"{path}: {name} has shape {found.shape}, {found.dtype}; expected {expected.shape}, {expected.dtype}"
            )
        flat[key] = expected.replace(jnp.asarray(found))
    return nnx.merge(graph, nnx.from_flat_state(flat))


def _tensors(bottleneck: Bottleneck) -> dict[str, np.ndarray]:
    flat = nnx.to_flat_state(nnx.state(bottleneck))
    return {".".join(map(str, path)): np.ascontiguousarray(leaf[...]) for path, leaf in flat}

"""Saves and loads a bottleneck: the tuned CLIP as a model directory, with `ecor.json` and the head's tensors in it."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ecor_jax.atomic import write_json
from ecor_jax.bottleneck.head import Adapter, Bottleneck
from ecor_jax.checkpoints.model_dir import DESCRIPTION, HEAD, Model, new_directory, write_clip
from ecor_jax.checkpoints.weights import weights_digest
from ecor_jax.clip.model import Clip
from ecor_jax.config.options import check_template
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import read_bytes
from ecor_jax.untrusted.json_text import read_object

FORMAT = 2


@dataclasses.dataclass(frozen=True)
class Findings:
    """Metadata of the logits of a classification bottleneck.

    names: one per logit. single_label: whether they exclude each other. typical: mean cosine of each descriptor over
      the training images. trained_on: hashes of patients to exclude from tests. medical: whether it is for X-rays.
    """

    names: tuple[str, ...]
    single_label: bool
    typical: Float[np.ndarray, "concepts"]
    trained_on: tuple[str, ...] = ()
    medical: bool = False


@dataclasses.dataclass(frozen=True)
class SavedBottleneck:
    """The contents of the model directory of a bottleneck.

    model: the CLIP, with its tuned image encoder. output: the name of the representation whose cosine is compared with
    the threshold (`verification.model.OUTPUTS`).
    threshold: cosine above which two images are accepted as the same person; None if none was chosen.
    findings: for classification; None for faces. threshold_source: describes the data that the threshold was chosen on.
    typical: mean contribution of each group to the cosine of pairs of the same person; {} if unknown.
    """

    model: Model
    bottleneck: Bottleneck
    descriptors: Descriptors
    template: str
    output: str
    threshold: float | None
    findings: Findings | None = None
    threshold_source: str = ""
    typical: Mapping[str, float] = dataclasses.field(default_factory=dict)


def save_bottleneck(directory: Path, saved: SavedBottleneck, tuned: Clip | None = None) -> None:
    """Writes a model directory atomically; an older one is replaced.

    tuned: the CLIP to write, if it differs from that of `saved.model`.
    """
    clip = saved.model.clip if tuned is None else tuned
    bottleneck, adapter = saved.bottleneck, saved.bottleneck.adapter
    description = {
        "format": FORMAT,
        "method": "bottleneck",
        "clip_sha256": weights_digest(clip),
        "template": saved.template,
        "output": saved.output,
        "threshold": saved.threshold,
        "threshold_source": saved.threshold_source,
        "typical": dict(saved.typical),
        "grouped": bottleneck.groups is not None,
        "scale": bottleneck.scale,
        "size": bottleneck.aggregation.out_features,
        "use_bias": bottleneck.aggregation.bias is not None,
        "adapter": adapter
        and {"width": adapter.down.out_features, "alpha": adapter.alpha, "last_relu": adapter.last_relu},
        "groups": saved.descriptors.as_groups(),
        "findings": saved.findings
        and dataclasses.asdict(saved.findings) | {"typical": saved.findings.typical.tolist()},
    }
    with new_directory(directory, overwrite=True) as partial:
        write_clip(partial, clip, saved.model.tokenizer, saved.model.preprocess, saved.model.origin)
        flat = nnx.to_flat_state(nnx.state(bottleneck))
        tensors = {".".join(map(str, path)): np.ascontiguousarray(leaf[...]) for path, leaf in flat}
        save_file(tensors, partial / HEAD)
        description["head_sha256"] = _digest(partial / HEAD)
        write_json(partial / DESCRIPTION, description)


def is_bottleneck(directory: Path) -> bool:
    """Returns whether a model directory has a descriptor bottleneck."""
    return (directory / HEAD).is_file()


def has_findings(directory: Path) -> bool:
    """Returns whether the bottleneck of a model directory classifies findings; one for faces does not."""
    return read_object(directory / DESCRIPTION).get("findings") is not None


def load_bottleneck(model: Model) -> SavedBottleneck:
    """Loads the bottleneck from the directory of a loaded CLIP. Raises UserError if it is missing or inconsistent."""
    path = model.path / DESCRIPTION
    if not is_bottleneck(model.path):
        raise UserError(f"{model.path}: no descriptor bottleneck ({HEAD}); train one with ecor-jax train")
    description = read_object(path)
    try:
        return _read(description, model)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, SafetensorError) as error:
        raise UserError(f"{path}: not a description of a bottleneck ({repr(error)[:200]})") from error


def _read(description: dict[str, Any], model: Model) -> SavedBottleneck:
    if description["format"] != FORMAT:
        raise UserError(f"format {description['format']!r}; this version reads {FORMAT}")
    for what, stated, found in (
        ("other weights", description["clip_sha256"], model.digest),
        ("another head", description["head_sha256"], _digest(model.path / HEAD)),
    ):
        if stated != found:
            raise UserError(f"belongs to {what} (sha256 {stated[:12]}) than lies beside it ({found[:12]})")
    # A softmax over a single descriptor is constant; without softmax, groups of one descriptor are allowed.
    least, template = 2 if description["grouped"] else 1, description["template"]
    check_template(template, "dc", "template", needed="d")
    descriptors = Descriptors.from_groups(description["groups"], "groups", least, repeated="{c}" in template)
    bottleneck = _read_head(description, descriptors, model.clip.config.embed_dim, model.path / HEAD)
    findings, threshold = _read_findings(description["findings"], bottleneck), description["threshold"]
    if (findings is None) == (bottleneck.groups is None):
        raise ValueError("findings and a softmax within groups: expected one of them")
    if threshold is not None and not -1 <= threshold <= 1:
        raise ValueError(f"threshold {threshold!r}; expected a cosine from -1 to 1")
    typical = {str(group): float(added) for group, added in description.get("typical", {}).items()}
    if typical and set(typical) != set(descriptors.groups):
        raise ValueError(f"typical is of {', '.join(typical)[:80]}; expected every group once")
    output, source = str(description["output"]), str(description.get("threshold_source", ""))
    return SavedBottleneck(model, bottleneck, descriptors, template, output, threshold, findings, source, typical)


def _digest(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _read_findings(found: dict[str, Any] | None, bottleneck: Bottleneck) -> Findings | None:
    if found is None:
        return None
    findings = Findings(
        tuple(map(str, found["names"])),
        found["single_label"],
        np.array(found["typical"], np.float32),
        tuple(map(str, found["trained_on"])),
        bool(found.get("medical", True)),  # older files lack the field; all of them are for X-rays
    )
    if not (np.abs(findings.typical) <= 1.001).all():
        raise ValueError("a typical cosine that is none")
    if not isinstance(findings.single_label, bool) or (findings.single_label and len(findings.names) < 2):
        raise ValueError(f"single_label is {findings.single_label!r} of {len(findings.names)} findings")
    if len(set(findings.names)) < len(findings.names):
        raise ValueError(f"findings {', '.join(findings.names)}; expected each once")
    expected = bottleneck.aggregation.out_features, (bottleneck.bank.shape[0],)
    if (len(findings.names), findings.typical.shape) != expected:
        raise ValueError(f"{len(findings.names)} findings and {findings.typical.shape} typical cosines")
    return findings


def _read_head(description: dict[str, Any], descriptors: Descriptors, embed_dim: int, path: Path) -> Bottleneck:
    def make() -> Bottleneck:
        rngs = nnx.Rngs(0)
        return Bottleneck(
            np.zeros((len(descriptors.phrases), embed_dim), np.float32),
            descriptors.group_of if description["grouped"] else None,
            scale=description["scale"],
            size=description["size"],
            init="orthogonal",
            use_bias=description["use_bias"],
            adapter=description["adapter"] and Adapter(embed_dim, **description["adapter"], rngs=rngs),
            rngs=rngs,
        )

    tensors = load_file(path)
    # Uses eval_shape, which allocates nothing, because a description may state sizes that exceed memory.
    graph, state = nnx.split(nnx.eval_shape(make))
    flat = dict(nnx.to_flat_state(state))
    names = {".".join(map(str, key)): key for key in flat}
    if names.keys() != tensors.keys():
        raise UserError(f"{HEAD}: holds {', '.join(sorted(tensors))}; expected {', '.join(sorted(names))}")
    for name, key in names.items():
        found, expected = tensors[name], flat[key]
        if (found.shape, found.dtype) != (expected.shape, expected.dtype):
            raise UserError(
                f"{HEAD}: {name} has shape {found.shape}, {found.dtype}; expected {expected.shape}, {expected.dtype}"
            )
        if not np.isfinite(found).all():
            raise UserError(f"{HEAD}: {name} holds numbers that are not finite")
        flat[key] = expected.replace(jnp.asarray(found))
    return nnx.merge(graph, nnx.from_flat_state(flat))

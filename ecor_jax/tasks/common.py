"""What several kinds of run do alike with their options."""

from pathlib import Path

from flax import nnx
from jax.sharding import Mesh

from ecor_jax.bottleneck import Adapter
from ecor_jax.checkpoints.model_dir import Model, load_clip
from ecor_jax.config import Config
from ecor_jax.data.captions import Captions
from ecor_jax.data.records import Source
from ecor_jax.errors import UserError
from ecor_jax.tasks.base import compute_dtype
from ecor_jax.tasks.pretrain import task as pretrain


def check_batch_sizes(config: Config, mesh: Mesh) -> None:
    """UserError for a batch that the devices cannot share evenly."""
    devices = mesh.shape["data"]
    for group in ("data", "evaluation"):
        if (size := config[group].batch_size) < 1 or size % devices:
            raise UserError(f"{group}.batch_size is {size}; expected a multiple of {devices}, the devices in use")


def clip_of(config: Config, workdir: Path, data: tuple[Source, Captions] | None = None) -> Model:
    """The CLIP of the config; where none is named, one pretrained in `workdir/clip`, on `data` if given."""
    dtype = compute_dtype(config.dtype)
    if config.model:
        return load_clip(config.model, dtype=dtype)
    if not config.pretrain:
        raise UserError("--config.model is not set: expected a CLIP, as a model directory or a hub id")
    if not (workdir / "clip" / "model").is_dir():
        pretrain.run(config.pretrain, workdir / "clip", data)
    return load_clip(workdir / "clip" / "model", dtype=dtype)


def adapter_of(config: Config, embed_dim: int, rngs: nnx.Rngs) -> Adapter | None:
    """The adapter that the options width, alpha and last_relu describe; None of width 0."""
    if not config.width:
        return None
    return Adapter(embed_dim, config.width, alpha=config.alpha, last_relu=config.last_relu, rngs=rngs)

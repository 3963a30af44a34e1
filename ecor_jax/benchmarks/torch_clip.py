"""PyTorch peers with the same weights: transformers' CLIPModel (eager, SDPA, compiled) and OpenCLIP."""

import importlib.util
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import numpy as np

from ecor_jax.benchmarks.measure import Side
from ecor_jax.checkpoints import huggingface, openai
from ecor_jax.checkpoints.layouts import Entry
from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.checkpoints.model_types import CLIP, family_of
from ecor_jax.checkpoints.weights import foreign_tensors
from ecor_jax.errors import UserError, needs

EAGER, FUSED, COMPILED = "PyTorch, eager", "PyTorch, SDPA", "PyTorch, SDPA, compiled"
OPEN_CLIP = "OpenCLIP", "OpenCLIP, compiled"


def device() -> str:
    """Returns PyTorch's device of the kind that JAX uses."""
    needs("torch", "torch")
    return "cpu" if jax.default_backend() == "cpu" else "cuda"


def torch_clip(model: Model, *, fused: bool) -> Any:
    """Returns transformers' CLIPModel with a model's weights, frozen, on `device()`, in the model's compute dtype.

    Raises UserError for a model of another family.
    """
    from transformers import CLIPConfig, CLIPModel

    if (family := family_of(model.clip.config)) is not CLIP:
        raise UserError(f"{model.path}: peers are of CLIP, not of {family.model_type}; leave out --peers")
    fields = huggingface.config_fields(model.clip.config, model.tokenizer)
    config = CLIPConfig(text_config=fields["text_config"], vision_config=fields["vision_config"])
    config.projection_dim = fields["projection_dim"]
    config._attn_implementation = "sdpa" if fused else "eager"
    clip: Any = CLIPModel(config)
    # strict=False: both towers also have buffers of position ids.
    return _with_weights(clip, model, CLIP.entries, strict=False)


def _with_weights(clip: Any, model: Model, entries: Sequence[Entry], *, strict: bool) -> Any:
    import torch

    tensors = foreign_tensors(model.clip, entries)
    clip.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}, strict=strict)
    return clip.to(device(), dtype_of(model)).eval().requires_grad_(False)


def dtype_of(model: Model) -> Any:
    """Returns PyTorch's dtype for the model's compute dtype."""
    import torch

    return getattr(torch, np.dtype(model.clip.vision.dtype).name)


def tensor(array: np.ndarray) -> Any:
    """Copies an array to PyTorch's device."""
    import torch

    return torch.from_numpy(array).to(device())


def fast_attention() -> AbstractContextManager[Any]:
    """Selects cuDNN attention on GPUs, which SDPA does not choose by default and which is the fastest on Hopper."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return nullcontext() if device() == "cpu" else sdpa_kernel(SDPBackend.CUDNN_ATTENTION)


def waited(result: Any) -> np.ndarray:
    """Converts a result to NumPy, which waits for its computation."""
    return result.detach().float().cpu().numpy()


def image_embedder(model: Model, *, fused: bool) -> Callable[[Any], Any]:
    """Returns a function that maps uint8 images [batch, size, size, 3] to unit embeddings."""
    import torch

    clip, normalise = torch_clip(model, fused=fused), normaliser(model)

    def embed(images: Any) -> Any:
        seen = clip.vision_model(pixel_values=normalise(images).to(clip.dtype)).pooler_output
        return torch.nn.functional.normalize(clip.visual_projection(seen).float(), dim=-1)

    return embed


def normaliser(model: Model) -> Callable[[Any], Any]:
    """Returns a function that normalises uint8 [batch, size, size, 3] to a tower's input [batch, 3, size, size]."""
    import torch

    mean, std = (torch.tensor(numbers, device=device()) for numbers in (model.preprocess.mean, model.preprocess.std))
    return lambda images: ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def text_embedder(model: Model, *, fused: bool) -> Callable[[Any], Any]:
    """Returns a function that maps token ids [texts, tokens] to unit embeddings."""
    import torch

    clip = torch_clip(model, fused=fused)

    def embed(ids: Any) -> Any:
        read = clip.text_model(input_ids=ids).pooler_output
        return torch.nn.functional.normalize(clip.text_projection(read).float(), dim=-1)

    return embed


def sides(
    make: Callable[..., Callable[..., Any]], model: Model, batches: Sequence[np.ndarray], *, compiled: bool
) -> dict[str, Side]:
    """Returns sides that run `make(model, fused=...)` on the batches sequentially: eager, SDPA, and compiled."""
    eager, fused = make(model, fused=False), make(model, fused=True)
    found = {EAGER: _side(eager, batches, fused=False), FUSED: _side(fused, batches)}
    return found | ({COMPILED: _side(_compiled(fused, batches), batches)} if compiled else {})


def open_clip_sides(model: Model, batches: Sequence[np.ndarray], *, images: bool, compiled: bool) -> dict[str, Side]:
    """Returns OpenCLIP, eager and compiled, on batches of images or padded ids; {} if it is not installed."""
    if importlib.util.find_spec("open_clip") is None:
        return {}
    clip, normalise = _open_clip(model), normaliser(model)

    def embed(batch: Any) -> Any:
        if images:
            return clip.encode_image(normalise(batch).to(dtype_of(model)), normalize=True).float()
        return clip.encode_text(batch, normalize=True).float()

    found = {OPEN_CLIP[0]: _side(embed, batches)}
    return found | ({OPEN_CLIP[1]: _side(_compiled(embed, batches), batches)} if compiled else {})


def _open_clip(model: Model) -> Any:
    from open_clip.model import CLIP  # pyright: ignore[reportMissingImports]

    config = model.clip.config
    vision, text = (
        {"width": tower.width, "layers": tower.layers, "mlp_ratio": tower.mlp_width / tower.width}
        for tower in (config.vision, config.text)
    )
    vision |= {"image_size": config.vision.image_size, "patch_size": config.vision.patch_size}
    vision |= {"head_width": config.vision.width // config.vision.heads}
    text |= {"context_length": config.text.context_length, "vocab_size": config.text.vocab_size}
    text |= {"heads": config.text.heads}
    clip: Any = CLIP(config.embed_dim, vision, text, quick_gelu=config.activation == "quick_gelu")
    return _with_weights(clip, model, openai.ENTRIES, strict=True)


def _side(function: Callable[[Any], Any], batches: Sequence[np.ndarray], *, fused: bool = True) -> Side:
    import torch

    inputs = [tensor(batch) for batch in batches]

    def run() -> np.ndarray:
        with torch.no_grad(), fast_attention() if fused else nullcontext():
            return np.concatenate([waited(function(batch)) for batch in inputs])

    return Side(run, sum(map(len, batches)))


def _compiled(function: Callable[[Any], Any], batches: Sequence[np.ndarray]) -> Callable[[Any], Any]:
    """Compiles a function with its weights as constants (freezing), because they are not trained."""
    import torch

    dynamic = len({batch.shape for batch in batches}) > 1
    return torch.compile(function, dynamic=dynamic, options={"freezing": True})

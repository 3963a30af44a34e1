"""A step of prompt tuning in PyTorch with cached text banks, the peer of the training benchmarks."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from ecor_jax.benchmarks.torch_clip import fast_attention, normaliser, tensor, torch_clip
from ecor_jax.checkpoints.model_dir import Model
from ecor_jax.clip.prompts import VisualPrompts
from ecor_jax.tasks.rationale.joint import Banks


def stepper(
    model: Model, prompts: VisualPrompts, banks: Banks, batch: Mapping[str, np.ndarray], *, rate: float, compiled: bool
) -> Callable[[], np.ndarray]:
    """Returns a function that runs one SGD step and returns the loss and the gradient norm.

    The loss is `RationaleLearner.loss` for ECOR, which predicts the rationale first and then the class given it. The
    target is the gold rationale that is most similar to the image.
    """
    import torch
    from torch.nn import functional

    clip, normalise = torch_clip(model, fused=True), normaliser(model)
    vision, length = clip.vision_model, model.clip.config.vision.patches + 1
    tokens = torch.nn.Parameter(tensor(np.array(prompts.tokens[...])))
    optimizer = torch.optim.SGD([tokens], lr=rate)
    outer, pair = (_shared(bank) for bank in (banks.outer, banks.pair))
    images, category, gold = (tensor(batch[name]) for name in ("image", "category", "rationales"))
    scale, places = float(model.clip.scale()), {layer: place for place, layer in enumerate(prompts.layers)}

    def embed(images: Any) -> Any:
        x = vision.pre_layrnorm(vision.embeddings(normalise(images).to(clip.dtype)))
        for number, layer in enumerate(vision.encoder.layers):
            if number in places:
                shown = tokens[places[number]].to(clip.dtype)
                shown = vision.pre_layrnorm(shown) if number == 0 else shown
                x = torch.cat([x[:, :length], shown.expand(len(x), -1, -1)], dim=1)
            x = layer(x, None)
            x = x[0] if isinstance(x, tuple) else x
        seen = clip.visual_projection(vision.post_layernorm(x[:, 0]))
        return functional.normalize(seen.float(), dim=-1)

    def loss_of(images: Any, category: Any, gold: Any) -> Any:
        seen = embed(images)
        logits = seen @ outer.T * scale
        rationale = logits.detach().masked_fill(~gold, -torch.inf).argmax(dim=1)
        inner = torch.bmm(pair[rationale].float(), seen[:, :, None])[..., 0] * scale
        return functional.cross_entropy(logits, rationale) + functional.cross_entropy(inner, category.long())

    loss_of = torch.compile(loss_of, dynamic=False) if compiled else loss_of

    def step() -> np.ndarray:
        optimizer.zero_grad()
        with fast_attention():
            loss = loss_of(images, category, gold)
            loss.backward()
        assert tokens.grad is not None
        told = np.array([loss.item(), tokens.grad.norm().item()])
        optimizer.step()
        return told

    return step


def _shared(bank: Any) -> Any:
    """Converts a bank to PyTorch, on a CPU without a copy."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # it is only read
        if bank.dtype == jnp.bfloat16:
            return tensor(np.asarray(bank).view(np.int16)).view(torch.bfloat16)
        return tensor(np.asarray(bank))

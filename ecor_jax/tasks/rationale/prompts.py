"""The visual prompts that a run begins with."""

from flax import nnx

from ecor_jax.clip.config import VisionConfig
from ecor_jax.clip.prompts import VisualPrompts, prompt_layers
from ecor_jax.tasks.rationale.options import RationaleOptions


def fresh_prompts(options: RationaleOptions, vision: VisionConfig) -> VisualPrompts:
    """As the options ask for, for a vision tower."""
    prompts = options.prompts
    return VisualPrompts(
        vision,
        prompts.count,
        prompt_layers(prompts.layers, vision.layers),
        initialisation=prompts.initialisation,
        border=prompts.border,
        rngs=nnx.Rngs(options.seed),
    )

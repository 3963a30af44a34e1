"""Contrastive pretraining, as a step to compile without pictures."""

import jax.numpy as jnp
from jax.sharding import Mesh

from ecor_jax.tasks.ahead import Sizes, Steps, architecture, batch_of, clip_of
from ecor_jax.tasks.pretrain.model import PretrainLearner
from ecor_jax.tasks.pretrain.options import PretrainOptions
from ecor_jax.training.ahead import shapes_of, train_step


def steps_ahead(options: PretrainOptions, mesh: Mesh, sizes: Sizes) -> Steps:
    """The step of training alone; a tokenizer learned from the captions is taken for as large as it may become."""
    config, data = architecture(options.model), options.data

    def learner() -> PretrainLearner:
        clip = clip_of(config, options.dtype)
        kept = options.kept_patches or None
        return PretrainLearner(clip.clip, None, clip.preprocess, loss=options.loss, kept_patches=kept)  # pyright: ignore

    longest = config.text.context_length if config.text.padded else data.text_length
    labels = {"text": ((longest,), jnp.int32), "group": ((), jnp.int32)}
    batch = batch_of(data.batch_size, config.vision.image_size, **labels)
    return {"train": train_step(shapes_of(learner), options, mesh, batch)}

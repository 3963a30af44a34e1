"""From a pretraining config to a workdir with a CLIP in it."""

import dataclasses
from pathlib import Path

import jax
from absl import logging
from flax import nnx

from ecor_jax.checkpoints.model_dir import load_clip, save_clip
from ecor_jax.clip.config import PRESETS, preset
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.tokenizer import learn_tokenizer
from ecor_jax.config import Config, path_list
from ecor_jax.data.captions import Captions, ListedCaptions, ProceduralCaptions
from ecor_jax.data.encode import CaptionLabels, Encode
from ecor_jax.data.images import open_images
from ecor_jax.data.in_memory import checked
from ecor_jax.data.pipeline import train_batches
from ecor_jax.data.procedural import Procedural
from ecor_jax.data.records import Source
from ecor_jax.data.sources import Concatenated
from ecor_jax.errors import UserError
from ecor_jax.tasks.base import compute_dtype
from ecor_jax.tasks.pretrain.model import Pretrainer, PretrainTask
from ecor_jax.training.loop import train


def run(config: Config, workdir: Path, data: tuple[Source, Captions] | None = None) -> None:
    """Pretrains (or continues) a CLIP on images and captions and writes `workdir/model`.

    data: images and captions in the place of those that `config.data` names.
    """
    source, captions = _data(config.data) if data is None else data
    if config.model in PRESETS:
        shape = preset(config.model)
        tokenizer = learn_tokenizer(captions.corpus(), shape.text.vocab_size, shape.text.context_length)
        shape = dataclasses.replace(shape, text=dataclasses.replace(shape.text, vocab_size=len(tokenizer)))
        preprocess = Preprocess(shape.vision.image_size)
        clip = Clip(shape, dtype=compute_dtype(config.dtype), rngs=nnx.Rngs(config.seed))
    else:
        model = load_clip(config.model, dtype=compute_dtype(config.dtype))
        clip, tokenizer, preprocess = model.clip, model.tokenizer, model.preprocess
    longest = clip.config.text.context_length
    if not 2 <= config.data.text_length <= longest:
        raise UserError(f"data.text_length is {config.data.text_length}; expected 2 to {longest} tokens")
    source, bad = checked(source, preprocess, config.data.on_bad_image, augment=config.data.augment)
    for name in bad:
        logging.warning("left out: %s", name)
    labels = CaptionLabels(captions, tokenizer, config.data.text_length, config.data.positives)
    batches = train_batches(
        source,
        Encode(preprocess, labels, config.data.augment),
        batch_size=config.data.batch_size,
        seed=config.seed,
        workers=config.data.workers,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        on_bad_image=config.data.on_bad_image,
    )
    task = PretrainTask(clip, batches, preprocess, loss=config.loss, kept_patches=config.kept_patches or None)
    trained = train(task, config, workdir, "pretrain")
    assert isinstance(trained, Pretrainer)
    save_clip(workdir / "model", trained.clip, tokenizer, preprocess, overwrite=True)


def _data(data: Config) -> tuple[Source, Captions]:
    if data.images == "procedural":
        return Procedural(data.count, style="pretrain", seed=data.seed), ProceduralCaptions()
    for option in ("images", "captions"):
        if not data[option]:
            raise UserError(f"--config.data.{option} is not set: expected a path")
    source = Concatenated([open_images(path, split=data.split) for path in path_list(data.images)])
    captions = ListedCaptions(data.captions)
    captions.check(source)
    return source, captions

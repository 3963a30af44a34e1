"""The task of contrastive pretraining of a CLIP on pictures and captions; its only method is not evaluated."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from ecor_jax.aot.steps import Sizes, Steps, batch_of, clip_of, shapes_of, train_step
from ecor_jax.atomic import new_file
from ecor_jax.checkpoints.model_dir import RATIONALES, load_clip, save_clip
from ecor_jax.checkpoints.source import read_architecture
from ecor_jax.clip.config import PRESETS, preset
from ecor_jax.clip.model import Clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.tokenizer import learn_tokenizer
from ecor_jax.config.options import comma_list, path_list
from ecor_jax.data.captions import Captions, ListedCaptions, ProceduralCaptions, QuestionCaptions
from ecor_jax.data.encode import CaptionLabels, Encode
from ecor_jax.data.images import has_split, open_images
from ecor_jax.data.in_memory import load_checked
from ecor_jax.data.procedural import Procedural, vocabulary
from ecor_jax.data.procedural.questions import Questions
from ecor_jax.data.records import Source
from ecor_jax.data.sources import Concatenated, Renamed, split_by_class
from ecor_jax.data.tally import UNREADABLE
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError
from ecor_jax.parallel.processes import assert_same
from ecor_jax.tasks.base import MethodResult, Task
from ecor_jax.tasks.batches import batches_of
from ecor_jax.tasks.pretrain.model import Pretrainer, PretrainLearner
from ecor_jax.tasks.pretrain.options import PretrainData, PretrainOptions
from ecor_jax.tasks.splits import aliases_of


class Pretrain(Task[PretrainOptions, None]):
    """Pretrains a CLIP from scratch or from another CLIP. captions: used instead of `options.data`."""

    Options = PretrainOptions
    methods = ("pretrain",)

    def __init__(self, options: PretrainOptions, *, training: bool, captions: tuple[Source, Captions] | None = None):
        super().__init__(options, training=training)
        self.source, self.texts = captions or _open(options.data)
        self.tally.add_source(self.source)
        assert_same("the data", lambda: [self.source.fingerprint(), *self.texts.corpus()])

    def open(self, model: str) -> None:
        options = self.options
        if model in PRESETS:
            shape = preset(model)
            self.tokenizer = learn_tokenizer(self.texts.corpus(), shape.text.vocab_size, shape.text.context_length)
            shape = dataclasses.replace(shape, text=dataclasses.replace(shape.text, vocab_size=len(self.tokenizer)))
            self.preprocess = Preprocess(shape.vision.image_size)
            self.clip = Clip(shape, dtype=jnp.dtype(options.dtype), rngs=nnx.Rngs(options.seed))
        else:
            loaded = load_clip(model, dtype=jnp.dtype(options.dtype))
            self.clip, self.tokenizer, self.preprocess = loaded.clip, loaded.tokenizer, loaded.preprocess
            self.origin = loaded.origin
        longest = self.clip.config.text.context_length
        if options.data.text_length > longest:
            raise UserError(f"data.text_length is {options.data.text_length}; expected 2 to {longest} tokens")
        checks = load_checked(self.source, self.preprocess, options.data.on_bad_image, options.data.augment)
        self.source, bad, twice = checks
        self.tally.lines += twice
        self.tally.skip(UNREADABLE, len(bad), lines=bad)

    def learner(self, method: str) -> PretrainLearner:
        options, data = self.options, self.options.data
        text = self.clip.config.text
        padded_to = text.context_length if text.padded else None
        labels = CaptionLabels(self.texts, self.tokenizer, data.text_length, data.positives, padded_to)
        batches = batches_of(self.options, self.source, Encode(self.preprocess, labels, data.augment))
        kept = options.kept_patches or None
        return PretrainLearner(self.clip, batches, self.preprocess, loss=options.loss, kept_patches=kept)

    def model(self, method: str, trained: nnx.Module | None) -> Clip | None:
        return trained.clip if isinstance(trained, Pretrainer) else None

    def evaluate(self, method: str, model: Clip | None) -> None:
        """Returns None: a CLIP is evaluated by the tasks that use it."""

    def save(self, directory: Path, evaluated: Mapping[str, MethodResult[None]]) -> bool:
        save_clip(
            directory, evaluated["pretrain"].model, self.tokenizer, self.preprocess, origin=self.origin, overwrite=True
        )
        if isinstance(self.texts, ProceduralCaptions):
            with new_file(directory / RATIONALES) as partial:
                partial.write_text(vocabulary().to_json())
        return True

    def results(self, evaluated: Mapping[str, MethodResult[None]]) -> dict[str, Any]:
        return {}

    @staticmethod
    def aot_steps(options: PretrainOptions, mesh: Mesh, sizes: Sizes) -> Steps:
        """Returns the traced step "train". A tokenizer to be learned from captions counts with its maximum size."""
        config, data = read_architecture(options.model), options.data

        def learner() -> PretrainLearner:
            clip = clip_of(config, options.dtype)
            kept = options.kept_patches or None
            return PretrainLearner(clip.clip, None, clip.preprocess, loss=options.loss, kept_patches=kept)  # pyright: ignore

        longest = config.text.context_length if config.text.padded else data.text_length
        labels = {"text": ((longest,), jnp.int32), "group": ((), jnp.int32)}
        batch = batch_of(data.batch_size, config.vision.image_size, **labels)
        return {"train": train_step(shapes_of(learner), options, mesh, batch)}


def _open(data: PretrainData) -> tuple[Source, Captions]:
    if data.images == "procedural":
        drawings = Procedural(data.count, style="pretrain", seed=data.seed)
        return (Questions(drawings, None), QuestionCaptions()) if data.questions else (drawings, ProceduralCaptions())
    if data.questions:
        raise UserError("data.questions is set; expected the built-in drawings (data.images=procedural)")
    if not data.images:
        raise UserError("--config.data.images is not set: expected a path")
    if not (data.captions or data.descriptors):
        raise UserError("--config.data.captions is not set: expected a path, or one of data.descriptors")
    aliases = aliases_of(data.aliases)
    opened = [_open_pictures(path, data, aliases) for path in path_list(data.images)]
    source = Concatenated([source for source, _ in opened])
    if unknown := sorted(set(aliases) - set().union(*(own for _, own in opened))):
        raise UserError(f"data.aliases: no images have the class {', '.join(map(repr, unknown))}")
    return source, ListedCaptions(source, data.captions, comma_list(data.descriptors))


def _open_pictures(path: str, data: PretrainData, aliases: Mapping[str, str]) -> tuple[Source, set[str]]:
    """Opens the training split of a set of images, or all its images but the holdout if it has no such split.

    Also returns the classes that were renamed.
    """
    divided = not data.holdout or (data.split != "" and has_split(path, data.split))
    source = open_images(path, split=data.split if divided else "")
    own = {old: new for old, new in aliases.items() if normalise_name(old) in source.classes}
    source = Renamed(source, own) if own else source
    kept = source if divided else split_by_class(source, holdout=data.holdout, seed=data.seed)[0]
    return kept, set(own)

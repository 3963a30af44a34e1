"""Traces the steps of the rationale task without weights or pictures, for ahead-of-time compilation."""

from pathlib import Path

import jax.numpy as jnp
from jax.sharding import Mesh

from ecor_jax.aot.compiled import call_step
from ecor_jax.aot.steps import Sizes, Steps, batch_of, clip_of, shapes_of, train_step
from ecor_jax.checkpoints.source import read_architecture
from ecor_jax.data import procedural
from ecor_jax.data.joined import join_rationales
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.parallel.shards import padded_columns
from ecor_jax.tasks.rationale.data import with_distractors
from ecor_jax.tasks.rationale.doubly_right import TOP_K
from ecor_jax.tasks.rationale.joint import Banks
from ecor_jax.tasks.rationale.methods import find_methods, with_templates
from ecor_jax.tasks.rationale.model import RationaleLearner, RationaleModel, fresh_prompts
from ecor_jax.tasks.rationale.options import RationaleOptions
from ecor_jax.tasks.rationale.predict import Answer
from ecor_jax.tasks.splits import PROCEDURAL


def aot_steps(options: RationaleOptions, mesh: Mesh, sizes: Sizes) -> Steps:
    """Traces the steps of the last tuned method; if none is tuned, the "evaluate" step of the last method."""
    methods = list(find_methods(options.method).values())
    method = ([own for own in methods if own.tuned] or methods)[-1]
    method = with_templates(method, options.templates.outer, options.templates.pair)
    classes, rationales = _sizes(options, sizes)
    config = read_architecture(options.model or (options.pretrain.model if options.pretrain else ""))
    first, second = (classes, rationales) if method.order == "category_first" else (rationales, classes)

    def learner() -> RationaleLearner:
        clip = clip_of(config, options.dtype)
        given = jnp.zeros((first, config.embed_dim))
        pair = jnp.zeros((first if method.conditional else 1, padded_columns(second, mesh), config.embed_dim))
        prompts = fresh_prompts(options, config.vision) if method.tuned else None
        banks = Banks(None if method.order == "pairs" else given, pair.astype(clip.clip.vision.dtype), method.condition)
        model = RationaleModel(clip, prompts, banks, mesh, second)  # pyright: ignore[reportArgumentType]
        return RationaleLearner(model, method, None, options.loss)  # pyright: ignore[reportArgumentType]

    made = shapes_of(learner)
    labels = {"category": ((), jnp.int32), "rationales": ((rationales,), jnp.bool_)}
    size = config.vision.image_size
    steps = {}
    if method.tuned:
        steps["train"] = train_step(made, options, mesh, batch_of(options.data.batch_size, size, **labels))
    evaluated = batch_of(options.evaluation.batch_size, size, **labels, mask=((), jnp.bool_))
    steps["evaluate"] = call_step(
        Answer(options.evaluation.top_k or TOP_K, options.evaluation.calibration), made.model, mesh, evaluated
    )
    return steps


def _sizes(options: RationaleOptions, sizes: Sizes) -> tuple[int, int]:
    """Returns the numbers of classes and rationales. Raises UserError if `sizes` lacks one and the data is missing."""
    if sizes.classes and sizes.rationales:
        return sizes.classes, sizes.rationales
    data = options.data
    if data.images == PROCEDURAL:
        vocabulary = procedural.vocabulary()
    elif Path(data.rationales).is_file():
        vocabulary = Vocabulary.from_file(data.rationales, slash=data.slash)
    else:
        raise UserError(
            f"data.rationales is {data.rationales!r}, which is no file here: --classes and --rationales say how many "
            "there are"
        )
    vocabulary = with_distractors(vocabulary, data)
    if data.rationales_per_prompt != 1:
        vocabulary = join_rationales(vocabulary, data.rationales_per_prompt).vocabulary
    return sizes.classes or len(vocabulary.classes), sizes.rationales or len(vocabulary.rationales)

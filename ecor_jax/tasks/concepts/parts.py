"""The parts of the built-in drawings that a bottleneck's words name, beside saliency and chance (`tasks.drawn_parts`).

words: the descriptor with the largest contribution to the logit of the predicted class. counterfactual: the first of
the fewest descriptors without whose contributions another class is more probable (`counterfactual`). Both may name a
part that is not drawn. The others are told what is drawn. ranked: the drawn part with the largest contribution.
saliency: the drawn part where the map of log P(class | image) is highest on average. chance: a random drawn part.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ecor_jax.bottleneck.head import Bottleneck
from ecor_jax.data.decode import picture_of
from ecor_jax.data.procedural import Procedural
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InMemory
from ecor_jax.errors import UserError
from ecor_jax.features.encoders import ClipEncoder, DualEncoder
from ecor_jax.tasks.concepts.counterfactual import change_of_class
from ecor_jax.tasks.concepts.heads import linear, outputs, probabilities
from ecor_jax.tasks.concepts.saliency import MappedModel, numbered_maps
from ecor_jax.tasks.drawn_parts import MOST, brightest_parts, peaks_within, random_parts, without_parts, worth_of_parts
from ecor_jax.tasks.named_maps import named_maps


def check_parts(encoder: DualEncoder, phrases: Sequence[str], side: int) -> None:
    """Raises UserError unless maps of the encoder cover the whole of drawings of `side` pixels, and phrases differ."""
    if not isinstance(encoder, ClipEncoder):
        raise UserError("evaluation.measures has parts, which needs a CLIP (--config.model), not embeddings")
    preprocess, patch_size = encoder.model.preprocess, encoder.model.clip.config.vision.patch_size
    whole = preprocess.resize != "shortest" or preprocess.resize_to in (None, preprocess.size)
    if not whole or preprocess.size % patch_size or side % (preprocess.size // patch_size):
        raise UserError(
            "evaluation.measures has parts; expected a CLIP whose patches are the whole drawing, in a number that "
            f"divides {side}"
        )
    if len(set(phrases)) < len(phrases):
        raise UserError("evaluation.measures has parts; expected a concepts.template without {c}")


def named_parts(
    head: Bottleneck,
    encoder: ClipEncoder,
    drawings: Procedural,
    features: Float[np.ndarray, "N embed"],
    phrases: Sequence[str],
    classes: Sequence[str],
    typical: Float[np.ndarray, "concepts"],
) -> dict[str, Float[np.ndarray, "drawings"]]:
    """Returns what each of the first MOST drawings contributes (`drawn_parts.worth_of_parts`).

    features: those of all drawings. phrases: the descriptors, which are rationales of the drawings. typical: their mean
    cosines.
    """
    count = min(MOST, len(drawings))
    whole = [drawings[row] for row in range(count)]
    shown = [record["rationales"] for record in whole]
    found = outputs(head, features[:count])
    assert found.cosines is not None
    category = found.logits.argmax(axis=1)
    weight = linear(head, classes, exclusive=True).weight
    shares = (found.cosines - typical) * weight.T[category]
    views = [encoder.model.preprocess(picture_of(record)) for record in whole]
    mapped = MappedModel(encoder.model, head, exclusive=True)
    named = [{"class": int(number)} for number in category]
    maps = np.stack([own["class"] for own in named_maps(numbered_maps, mapped, views, named)])
    columns = {phrase: column for column, phrase in enumerate(phrases)}
    parts = {
        "words": [phrases[column] for column in shares.argmax(axis=1)],
        "ranked": [max(own, key=lambda part: shares[row, columns[part]]) for row, own in enumerate(shown)],
        "saliency": brightest_parts(drawings, maps, shown),
        "counterfactual": [
            _first_removed(phrases, own, found.logits[row], int(category[row]))
            for row, own in enumerate((found.cosines - typical)[:, :, None] * weight)
        ],
        "chance": random_parts(shown),
    }
    changed = [
        Record(image=image, category="", rationales=(), name=str(row))
        for row, image in enumerate(without_parts(drawings, parts, shown))
    ]
    encoded = ClipEncoder(encoder.model).encode_source(InMemory(changed, "drawings without parts"))
    logits = outputs(head, encoded).logits
    share, column = probabilities(logits, exclusive=True), np.tile(category, 1 + len(parts))[:, None]
    own = np.take_along_axis(share, column, axis=1)[:, 0]
    told = np.stack([own, own >= share.max(axis=1)], axis=1)
    return worth_of_parts(parts, shown, told, peaks_within(drawings, maps, parts["words"], shown))


def _first_removed(
    phrases: Sequence[str],
    contributions: Float[np.ndarray, "concepts classes"],
    logits: Float[np.ndarray, "classes"],
    best: int,
) -> str:
    """Returns the first descriptor of the counterfactual; "" if there is none."""
    change = change_of_class(contributions, logits, best)
    return phrases[change.concepts[0]] if change else ""

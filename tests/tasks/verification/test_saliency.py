"""Maps of faces: each is that of its descriptor's log-probability within the group, in its picture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ecor_jax.bottleneck.head import group_log_softmax, group_softmax
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.saliency import saliency
from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.tasks.verification.explanation import Side
from ecor_jax.tasks.verification.pairs import Seen, explained_pairs, head_of
from ecor_jax.tasks.verification.saliency import with_maps
from tests.tasks.verification.faces import make_face, pictures

GROUPS = {"nose": ["wide", "narrow"], "eyes": ["round", "almond", "slanted"], "ears": ["large", "small"]}
DESCRIPTORS = Descriptors.from_groups(GROUPS, "here")


@pytest.mark.slow
def test_maps_of_the_descriptors_that_are_shown_in_both_pictures():
    face, images = make_face(), pictures(count=4)["image"]
    sides = [Side(f"{number}.png", Image.fromarray(image)) for number, image in enumerate(images)]
    activations = np.asarray(face.concepts(jnp.asarray(images)).activations)
    compared = [(0, 1), (2, 3)]
    pairs = explained_pairs(
        Seen(activations, activations), head_of(face), DESCRIPTORS,
        [(sides[0], sides[1]), (sides[2], sides[3])], compared, 0.5, [None, None],
    )  # fmt: skip
    found = with_maps(pairs, face, Preprocess(16))
    columns = [(0, 1), (2, 3, 4), (5, 6)]

    def of(embeddings):
        scores = face.bottleneck.scale * face.bottleneck(embeddings).cosines
        return jnp.concatenate([jax.nn.log_softmax(scores[:, list(group)]) for group in columns], axis=1)

    pixels = normalise_pixels(jnp.asarray(images), face.mean, face.std)
    expected = np.asarray(jax.jit(lambda pixels: saliency(face.vision, pixels, of))(pixels))
    names = [f"{group}: {phrase}" for group, phrases in GROUPS.items() for phrase in phrases]
    for pair, numbers in zip(found, compared, strict=True):
        shown = {f"{concept.group}: {concept.descriptor}" for group in pair.shown for concept in group.concepts}
        for side, number in zip((pair.first, pair.second), numbers, strict=True):
            np.testing.assert_array_equal(np.asarray(side.view), images[number])
            assert side.saliency.keys() == shown
            for name, own in side.saliency.items():
                np.testing.assert_allclose(own.values, expected[number, names.index(name)], rtol=1e-3, atol=1e-6)
    assert with_maps([], face, Preprocess(16)) == []


def test_the_logarithm_does_not_underflow():
    scores, groups = jnp.array([[0.0, 1.0, 500.0, -500.0]]), jnp.array([0, 0, 1, 1])
    logs = np.asarray(group_log_softmax(scores, groups, 2))
    np.testing.assert_allclose(logs[0, 3], -1000)
    np.testing.assert_allclose(np.exp(logs[0, :2]), group_softmax(scores, groups, 2)[0, :2], rtol=1e-6)

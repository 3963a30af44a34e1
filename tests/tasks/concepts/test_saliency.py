"""Maps of a bottleneck's labels and descriptors: each is the one that is computed alone, under its own name."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from ecor_jax.bottleneck.directory import Findings
from ecor_jax.clip.config import preset
from ecor_jax.clip.model import Clip, unit
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.saliency import saliency
from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.errors import UserError
from ecor_jax.tasks.concepts.explain import Shown, explained_images
from ecor_jax.tasks.concepts.heads import linear, outputs
from ecor_jax.tasks.concepts.options import ConceptsOptions, ConceptsReport
from ecor_jax.tasks.concepts.saliency import with_maps
from ecor_jax.tasks.concepts.task import ConceptBottleneck
from tests.tasks import steps
from tests.tasks.concepts.heads import DESCRIPTORS

NAMES = ("Effusion", "Edema", "Mass")


@pytest.mark.parametrize("exclusive", [False, True], ids=["findings", "classes"])
def test_maps_of_answers_and_of_the_descriptors_that_are_shown(exclusive):
    config, count = preset("tiny/16-8"), len(DESCRIPTORS.phrases)
    head = steps.bottleneck(count, config.embed_dim, adapter=4, size=3)
    head.aggregation.kernel[...] = jax.random.normal(jax.random.key(0), (count, 3))
    model: Any = SimpleNamespace(clip=Clip(config, rngs=nnx.Rngs(0)), preprocess=Preprocess(16))
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)) for _ in range(2)]
    views = np.stack([np.asarray(picture) for picture in pictures])
    pixels = normalise_pixels(jnp.asarray(views), model.preprocess.mean, model.preprocess.std)
    tower = model.clip.vision
    cosines = outputs(head, np.asarray(tower(pixels))).cosines
    findings = Findings(NAMES, exclusive, np.zeros(count, np.float32))
    shown = [Shown(f"{number}.png", picture) for number, picture in enumerate(pictures)]
    images = explained_images(shown, cosines, linear(head, NAMES, exclusive), findings, DESCRIPTORS)
    found = with_maps(images, model, head, NAMES, exclusive)

    def of(embeddings):
        seen = unit(head.adapter(embeddings)) @ head.bank[...].T
        logits = seen @ head.aggregation.kernel[...]
        logs = jax.nn.log_softmax(logits) if exclusive else -jnp.log1p(jnp.exp(-logits))
        return jnp.concatenate([logs, seen], axis=1)

    expected = np.asarray(jax.jit(lambda pixels: saliency(tower, pixels, of))(pixels))
    groups = [DESCRIPTORS.groups[group] for group in DESCRIPTORS.group_of]
    names = [f"{group}: {phrase}" for group, phrase in zip(groups, DESCRIPTORS.phrases, strict=True)]
    for number, image in enumerate(found):
        np.testing.assert_array_equal(np.asarray(image.view), views[number])
        assert list(image.label_maps) == [answer.label for answer in image.answers]
        pieces = [piece for answer in image.answers for kind in answer.shown.kinds.values() for piece in kind]
        assert image.descriptor_maps.keys() == {f"{piece.group}: {piece.descriptor}" for piece in pieces}
        for label, own in image.label_maps.items():
            np.testing.assert_allclose(own.values, expected[number, NAMES.index(label)], rtol=1e-3, atol=1e-6)
        for name, own in image.descriptor_maps.items():
            assert own.unit == "cosine"
            np.testing.assert_allclose(own.values, expected[number, 3 + names.index(name)], rtol=1e-3, atol=1e-6)
    assert set(found[0].to_dict()["label_maps"][found[0].answers[0].label]) == {"values", "unit", "shape", "range"}


def test_a_file_of_embeddings_has_no_maps():
    options = ConceptsOptions(embeddings="biovil.safetensors", report=ConceptsReport(saliency=True))
    with pytest.raises(UserError, match=r"report\.saliency is set, and biovil\.safetensors is a file of embeddings"):
        ConceptBottleneck(options, training=True)

"""Features of images: what the tower gives for a picture and its mirror image, once."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ecor_jax.clip.vision import normalise_pixels
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InMemory
from ecor_jax.errors import UserError
from ecor_jax.features import image_features as module
from ecor_jax.features.image_features import image_features
from ecor_jax.parallel.mesh import make_mesh


@pytest.fixture(scope="module")
def source():
    pictures = np.random.default_rng(0).integers(0, 256, (11, 16, 16, 3), dtype=np.uint8)
    return InMemory([Record(image=p, category="", rationales=(), name=f"{n}") for n, p in enumerate(pictures)], "here")


def features(model, source, folder, vision=None, mirrored=True):
    vision = vision or model.clip.vision
    return image_features(
        vision, model.preprocess, source, mirrored=mirrored, batch_size=8, mesh=make_mesh(), name="faces", folder=folder
    )


@pytest.fixture(scope="module")
def first(model, source, tmp_path_factory):
    """Features of all pictures, and the folder they are kept in."""
    folder = tmp_path_factory.mktemp("features")
    return features(model, source, folder), folder


def test_a_picture_and_its_mirror_image(model, source, first):
    found = first[0]
    assert found.shape == (11, 2, model.clip.config.embed_dim)
    for row in (0, 7, 10):
        image = source[row]["image"]
        for side, pixels in enumerate((image, image[:, ::-1])):
            normalised = normalise_pixels(jnp.asarray(pixels[None]), model.preprocess.mean, model.preprocess.std)
            np.testing.assert_allclose(found[row, side], model.clip.vision(normalised)[0], atol=1e-5)


def test_the_second_time_nothing_is_computed(model, source, first, monkeypatch):
    monkeypatch.delattr(module, "eval_batches")
    np.testing.assert_array_equal(features(model, source, first[1]), first[0])


def test_other_weights_other_pictures_and_no_mirror_images_are_computed(model, source, first):
    both, folder = first
    np.testing.assert_array_equal(features(model, source, folder, mirrored=False), both[:, :1])
    vision = nnx.clone(model.clip.vision)
    vision.transformer.last.mlp_out.bias[...] += 0.1
    assert not np.array_equal(features(model, source, folder, vision), both)
    records = [source[row] for row in range(11)]
    records[3] = {**records[3], "image": records[4]["image"]}
    np.testing.assert_array_equal(features(model, InMemory(records, "here"), folder)[3], both[4])


def test_a_bad_picture_stops_it(model, tmp_path):
    bad = Record(image=b"no picture", category="", rationales=(), name="bad.png")
    with pytest.raises(UserError, match=r"bad\.png is not an image"):
        features(model, InMemory([bad] * 2, "here"), tmp_path)

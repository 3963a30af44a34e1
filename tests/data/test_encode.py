import pickle

import numpy as np
import pytest
from PIL import Image

from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.data.encode import CaptionLabels, Encode, GoldLabels, IdentityLabels
from ecor_jax.data.records import BadImage, Preprocessed, Record
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from tests.data.toys import PHOTO, encoded, squash

VOCABULARY = Vocabulary.from_lists({"dog": ["tail", "fur"], "cat": ["fur"], "bee": ["wings"]})


def record(image: bytes | np.ndarray, category: str = "dog", rationales: tuple[str, ...] = ()) -> Record:
    return Record(image=image, category=category, rationales=rationales, name="some/image.png")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def model(tiny_clip):
    return load_clip(tiny_clip)


@pytest.mark.parametrize("image", [PHOTO, encoded(PHOTO), PHOTO[:16, :16]], ids=["pixels", "file", "of the size"])
def test_an_image_is_an_original_whatever_its_form_and_size(image):
    original = image if isinstance(image, np.ndarray) else PHOTO
    example = Encode(lambda picture: np.asarray(picture.resize((16, 16))) + 1)(record(image), rng())
    assert example.keys() == {"image"}
    np.testing.assert_array_equal(example["image"], np.asarray(Image.fromarray(original).resize((16, 16))) + 1)


def test_preprocessed_pixels_are_taken_as_they_are_and_never_cut():
    known = Preprocessed(pixels=PHOTO, category="dog", rationales=(), name="some/image.png")
    np.testing.assert_array_equal(Encode(squash)(known, rng())["image"], PHOTO)
    for augment in ("crop_flip", "adaface"):
        with pytest.raises(AssertionError, match="needs the original"):
            Encode(squash, augment=augment)(known, rng())


def test_another_size_than_expected_is_a_bad_image():
    """The size is that of the original, not of the tower."""
    encode = Encode(squash, IdentityLabels(["dog"]), "adaface", expected_size=30)
    assert encode(record(np.zeros((30, 30, 3), np.uint8)), rng())["image"].shape == (16, 16, 3)
    for image, size in ((PHOTO[:16, :16], "16x16"), (encoded(PHOTO[:16, :16]), "16x16"), (PHOTO, "32x24")):
        with pytest.raises(BadImage, match=rf"some/image\.png is {size} pixels; expected 30x30"):
            encode(record(image), rng())


def test_flip_mirrors_half_of_the_images():
    encode = Encode(squash, augment="flip")
    small = squash(Image.fromarray(PHOTO))
    images = [encode(record(PHOTO), rng(seed))["image"] for seed in range(100)]
    mirrored = sum(np.array_equal(pixels, small[:, ::-1]) for pixels in images)
    assert 30 < mirrored < 70
    assert mirrored + sum(np.array_equal(pixels, small) for pixels in images) == 100


@pytest.mark.parametrize("decoded", [False, True])
def test_crop_flip_shows_at_least_half_of_the_area(decoded):
    # A picture of its own coordinates: the span of values is the side of the crop.
    ramp = np.zeros((64, 64, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(64)[:, None] * 4, np.arange(64) * 4
    encode = Encode(lambda image: np.asarray(image.resize((64, 64), Image.Resampling.NEAREST)), augment="crop_flip")
    crops = [encode(record(ramp if decoded else encoded(ramp)), rng(seed))["image"] for seed in range(40)]
    spans = np.array([[np.ptp(crop[..., side].astype(int)) / 4 + 1 for side in (0, 1)] for crop in crops])
    areas = spans.prod(axis=1) / 64**2
    assert 0.4 < areas.min() < 0.6 and 0.9 < areas.max() <= 1.1
    assert all(crop.shape == (64, 64, 3) for crop in crops)
    np.testing.assert_allclose(spans[:, 0], spans[:, 1], atol=4)  # in the shape of the whole


@pytest.mark.parametrize("labels", [None, GoldLabels(VOCABULARY), IdentityLabels(["bee"])])
def test_encoders_survive_pickling(labels):
    encode = Encode(squash, labels, "crop_flip")
    example, again = (made(record(PHOTO, "bee"), rng()) for made in (encode, pickle.loads(pickle.dumps(encode))))
    np.testing.assert_equal(again, example)


def test_gold_is_of_the_image_and_else_of_its_class():
    label = GoldLabels(VOCABULARY)
    of_class = label(record(b"", "dog"), rng())
    assert of_class["category"] == 0 and of_class["category"].dtype == np.int32
    np.testing.assert_array_equal(of_class["rationales"], [True, True, False])
    of_image = label(record(b"", "cat", ("wings", "fur")), rng())
    assert of_image["category"] == 1
    np.testing.assert_array_equal(of_image["rationales"], [False, True, True])
    with pytest.raises(UserError, match=r"some/image\.png: class 'cow' is not in the rationale file"):
        label(record(b"", "cow"), rng())
    with pytest.raises(UserError, match="rationales that the rationale file does not have: 'horns', 'udder'"):
        label(record(b"", "dog", ("horns", "fur", "udder")), rng())


def test_identities():
    label = IdentityLabels(["dog", "cat"])(record(b"", "cat"), rng())["label"]
    assert label == 1 and label.shape == () and label.dtype == np.int32
    with pytest.raises(UserError, match=r"some/image\.png: 'bee' is none of the 2 identities"):
        IdentityLabels(["dog", "cat"])(record(b"", "bee"), rng())


def captioned(model, caption, category="cat", *, length=40, positives="text"):
    labels = CaptionLabels(lambda record, rng: caption, model.tokenizer, length, positives)
    return labels(record(b"", category), rng())


def test_a_caption_becomes_its_ids_padded_or_cut_before_eot(model):
    caption = "a dog with four legs and a wet nose"
    ids = model.tokenizer(caption)["input_ids"]
    for length in (4, 7, len(ids), 40):
        text = captioned(model, caption, length=length)["text"]
        assert text.shape == (length,) and text.dtype == np.int32
        cut = ids if length >= len(ids) else [*ids[: length - 1], model.tokenizer.eos_token_id]
        assert text.tolist() == cut + [0] * (length - len(cut))


@pytest.mark.parametrize(
    ("positives", "first", "second", "equal"),
    [
        ("text", ("a cat", "cat"), ("A  Cat", "dog"), True),
        ("text", ("a cat", "cat"), ("a dog", "cat"), False),
        ("category", ("a cat", "cat"), ("a tail", "cat"), True),
        ("category", ("a cat", "cat"), ("a cat", "dog"), False),
    ],
)
def test_groups_are_equal_captions_or_classes(model, positives, first, second, equal):
    groups = [captioned(model, *example, positives=positives)["group"] for example in (first, second)]
    assert groups[0].dtype == np.int32 and min(groups) >= 0 and (groups[0] == groups[1]) == equal
    if positives == "category":  # the same in every process: no seeded hash
        assert groups[0] == 0x9E5E43A8 >> 1

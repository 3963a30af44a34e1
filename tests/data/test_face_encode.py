import io
import pickle

import numpy as np
import pytest
from ecor_jax.data.face_encode import FaceEncode, augmented
from PIL import Image, ImageEnhance

from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.data import face_encode
from ecor_jax.data.pipeline import train_batches
from ecor_jax.data.records import BadImage, InMemory, Record
from ecor_jax.errors import UserError


def noise(width: int = 40, height: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (height, width, 3), np.uint8)


def record(image: np.ndarray | bytes, category: str = "b") -> Record:
    return Record(image=image, category=category, rationales=(), name="face 7")


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


class Rng:
    """A generator that gives out the numbers it was made of, and notes the ranges that were asked for."""

    def __init__(self, *numbers: float):
        self.numbers, self.asked = list(numbers), []

    def random(self) -> float:
        return self.numbers.pop(0)

    def uniform(self, low: float, high: float) -> float:
        self.asked.append((low, high))
        return low + (high - low) * self.numbers.pop(0)

    def integers(self, high: int) -> int:
        return int(high * self.numbers.pop(0))

    def permutation(self, count: int) -> list[int]:
        return list(range(count))[::-1]


KEEP, CHANGE = 0.2, 0.199


def test_without_augmentation_the_image_is_preprocessed_alone():
    encode = FaceEncode(Preprocess(16), ["a", "b"], augment=False)
    examples = [
        encode(record(image), np.random.default_rng(seed)) for seed in range(5) for image in (noise(), png(noise()))
    ]
    assert all((example["image"] == Preprocess(16)(Image.fromarray(noise()))).all() for example in examples)
    assert {(example["label"].dtype.name, example["label"].shape, int(example["label"])) for example in examples} == {
        ("int32", (), 1)
    }
    assert examples[0]["image"].shape == (16, 16, 3) and examples[0]["image"].dtype == np.uint8


def test_the_size_is_that_of_the_crop_and_not_of_the_tower():
    encode = FaceEncode(Preprocess(16), ["b"], augment=True, expected_size=30)
    assert encode(record(noise(30, 30)), np.random.default_rng(0))["image"].shape == (16, 16, 3)
    for image in (noise(16, 16), png(noise(16, 16))):
        with pytest.raises(BadImage, match="face 7 is 16x16 pixels; expected 30x30"):
            encode(record(image), np.random.default_rng(0))
    with pytest.raises(BadImage, match="face 7 is 30x40 pixels"):
        encode(record(noise(30, 40)), np.random.default_rng(0))


def test_records_that_cannot_be_encoded():
    encode = FaceEncode(Preprocess(16), ["a", "b"], augment=True)
    with pytest.raises(UserError, match="face 7: 'c' is none of the 2 identities"):
        encode(record(noise(), "c"), np.random.default_rng(0))
    with pytest.raises(BadImage, match="face 7 is not an image that can be decoded"):
        encode(record(b"junk"), np.random.default_rng(0))


def test_nothing_but_the_flip():
    face = Image.fromarray(noise())
    assert (np.asarray(augmented(face, Rng(KEEP, KEEP, KEEP, 0.5))) == noise()).all()
    assert (np.asarray(augmented(face, Rng(KEEP, KEEP, KEEP, 0.49))) == noise()[:, ::-1]).all()


def test_a_part_stays_where_it_was_on_black():
    # Area .2 + .8 * .5 = .6 of 40 * 30 = 720 pixels, shape 1: a square of round(sqrt(720)) = 27.
    rng = Rng(CHANGE, 0.5, 0.5, 0.99, 0.5, KEEP, KEEP, KEEP + 0.5)
    found = np.asarray(augmented(Image.fromarray(noise()), rng))
    expected = np.zeros_like(noise())
    left, upper = int(14 * 0.99), int(4 * 0.5)
    expected[upper : upper + 27, left : left + 27] = noise()[upper : upper + 27, left : left + 27]
    assert (found == expected).all()
    assert rng.asked == [(0.2, 1), (pytest.approx(np.log(3 / 4)), pytest.approx(np.log(4 / 3)))]


def test_shapes_of_parts():
    rng = np.random.default_rng(0)
    parts = np.asarray([face_encode._random_part(112, 112, rng) for _ in range(4000)])
    left, upper, width, height = parts.T
    assert (parts[:, :2] >= 0).all() and (left + width <= 112).all() and (upper + height <= 112).all()
    assert ((width / height > 0.74) & (width / height < 1.35)).all()
    areas = width * height / 112**2
    assert areas.min() < 0.22 and areas.max() > 0.98 and areas.min() > 0.19
    # A long picture leaves no part of .2 of its area in such a shape: the middle is taken.
    assert face_encode._random_part(1000, 10, rng) == (493, 0, 13, 10)
    assert face_encode._random_part(10, 1000, rng) == (0, 493, 10, 13)


@pytest.mark.parametrize(
    ("number", "small_filter", "large_filter"),
    [
        (0.1, "NEAREST", "NEAREST"),
        (0.3, "BILINEAR", "BILINEAR"),
        (0.5, "BOX", "BILINEAR"),
        (0.7, "BICUBIC", "BICUBIC"),
        (0.9, "LANCZOS", "LANCZOS"),
    ],
)
def test_low_resolution(number, small_filter, large_filter):
    face = Image.fromarray(noise())
    rng = Rng(KEEP, CHANGE, 0.25, number, 0.1, KEEP, 0.9)
    small = face.resize((12, 12), Image.Resampling[small_filter])  # .2 + .8 * .25 = .4 of the height, a square
    assert augmented(face, rng) == small.resize((40, 30), Image.Resampling.NEAREST)
    rng = Rng(KEEP, CHANGE, 0.25, 0.1, number, KEEP, 0.9)
    small = face.resize((12, 12), Image.Resampling.NEAREST)
    assert augmented(face, rng) == small.resize((40, 30), Image.Resampling[large_filter])
    assert rng.asked == [(0.2, 1)] and rng.numbers == []
    assert augmented(Image.new("RGB", (4, 3)), Rng(KEEP, CHANGE, 0.0, 0.1, 0.1, KEEP, 0.9)).size == (4, 3)


def test_colours():
    face = Image.fromarray(noise())
    rng = Rng(KEEP, KEEP, CHANGE, 0.25, 0.5, 1.0, 0.9)
    expected = ImageEnhance.Color(face).enhance(0.75)
    expected = ImageEnhance.Brightness(ImageEnhance.Contrast(expected).enhance(1)).enhance(1.5)
    assert augmented(face, rng) == expected
    assert rng.asked == [(0.5, 1.5)] * 3
    grey = noise() @ np.array([299, 587, 114]) / 1000  # what saturation 0 would leave
    half = np.asarray(ImageEnhance.Color(face).enhance(0.5)).astype(float)
    assert abs(half - (noise() + grey[..., None]) / 2).max() <= 1.5


def test_each_step_takes_a_fifth_of_the_images_on_its_own(monkeypatch):
    taken: list[list[str]] = []
    for step in ("_part_on_black", "_low_resolution", "_other_colours"):
        monkeypatch.setattr(face_encode, step, lambda face, rng, step=step: taken[-1].append(step) or face)
    rng, flips = np.random.default_rng(0), 0
    face = Image.fromarray(noise(4, 4))
    for _ in range(5000):
        taken.append([])
        flips += augmented(face, rng) != face
    counts = [sum(step in steps for steps in taken) for step in ("_part_on_black", "_low_resolution", "_other_colours")]
    assert all(abs(count - 1000) < 4 * np.sqrt(5000 * 0.2 * 0.8) for count in counts)
    assert abs(sum(len(steps) == 3 for steps in taken) - 40) < 4 * np.sqrt(40)
    assert abs(flips - 2500) < 4 * np.sqrt(5000 / 4)
    order = ["_part_on_black", "_low_resolution", "_other_colours"]
    assert all(steps == [step for step in order if step in steps] for steps in taken)


def test_batches_of_a_pipeline_depend_on_the_seed_alone():
    images = np.random.default_rng(0).integers(0, 256, (12, 20, 20, 3), np.uint8)
    people = tuple("abcabcabcabc")
    source = InMemory(images, people, ((),) * 12, tuple(map(str, range(12))), "faces")
    encode = pickle.loads(pickle.dumps(FaceEncode(Preprocess(16), source.classes, augment=True, expected_size=20)))

    def batches(seed: int) -> list[dict[str, np.ndarray]]:
        stream = iter(train_batches(source, encode, batch_size=6, seed=seed))
        return [next(stream) for _ in range(4)]

    one, again, other = batches(0), batches(0), batches(1)
    assert one[0]["image"].shape == (6, 16, 16, 3) and one[0]["label"].dtype == np.int32
    for a, b in zip(one, again, strict=True):
        assert all((a[key] == b[key]).all() for key in a)
    assert any((a["image"] != b["image"]).any() for a, b in zip(one, other, strict=True))
    assert sorted(np.concatenate([one[0]["label"], one[1]["label"]])) == [0] * 4 + [1] * 4 + [2] * 4

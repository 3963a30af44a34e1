"""Sets read whole: bad pictures are known, good ones in memory, and examples the same wherever they come from."""

import numpy as np
import pytest
from PIL import Image

from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.data import in_memory
from ecor_jax.data.decode import picture_of
from ecor_jax.data.encode import CaptionLabels, Encode, GoldLabels, IdentityLabels
from ecor_jax.data.in_memory import load_checked
from ecor_jax.data.pipeline import train_batches
from ecor_jax.data.records import BadImage, Record, Source
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from tests.data.toys import PHOTO, encoded, squash

VOCABULARY = Vocabulary.from_lists({"dog": ["tail", "fur"], "cat": ["fur"]})
FIRST, SECOND = encoded(PHOTO), encoded(PHOTO[::-1])


class Files(Source):
    """Image files by their content; None cannot be read."""

    def __init__(self, *contents: bytes | None):
        self.contents, self.origin, self.categories = [*contents], "files.zip", ("dog",) * len(contents)

    def __getitem__(self, index: int) -> Record:
        content = self.contents[index]
        if content is None:
            raise BadImage(f"{index}.png cannot be read: CRC")
        return Record(image=content, category="dog", rationales=("fur",), name=f"{index}.png")


def test_a_picture_in_two_classes_is_told():
    source = Files(FIRST, SECOND, FIRST, FIRST)
    source.categories = ("dog", "dog", "cat", "dog")
    loaded, bad, twice = load_checked(source, squash)
    assert len(loaded) == 4 and bad == ()
    assert twice == ("files.zip: one picture stands in two classes, 0.png and 2.png; both are used",)


@pytest.mark.parametrize("augment", ["none", "flip", "crop_flip"])
def test_records_of_a_checked_set_hold_the_originals_which_are_decoded_once_where_they_are_cut(augment):
    source = Files(None, FIRST)
    loaded, *_ = load_checked(source, squash, "skip", augment)
    np.testing.assert_array_equal(picture_of(loaded[0]), PHOTO)
    source.contents[1] = None  # not read again
    record = loaded.load(0)
    assert (record["name"], record["rationales"]) == ("1.png", ("fur",))
    assert ("image" in record) == (augment == "crop_flip")
    if augment == "crop_flip":
        np.testing.assert_array_equal(record["image"], PHOTO)


def test_checked_names_all_bad_images_at_once():
    with pytest.raises(UserError) as error:
        load_checked(Files(FIRST, None, b"no image", *[None] * 10), squash)
    message = str(error.value)
    assert message.startswith("12 of 13 images in files.zip cannot be read: 1.png cannot be read: CRC; 2.png is")
    assert message.endswith("; and 2 more (--config.data.on_bad_image=skip leaves them out)")


def test_checked_preprocesses_everything_once_and_may_skip_bad_images():
    source = Files(None, FIRST, b"no image", SECOND)
    loaded, bad, _ = load_checked(source, squash, "skip")
    assert loaded.names == ("1.png", "3.png") and len(loaded) == 2
    assert loaded.categories == ("dog", "dog") and loaded.origin == "files.zip"
    assert [message.split()[0] for message in bad] == ["0.png", "2.png"]
    source.contents[3] = None  # not read again
    record = loaded.load(1)
    np.testing.assert_array_equal(record.pop("pixels"), squash(Image.fromarray(PHOTO[::-1])))
    assert record == {"category": "dog", "rationales": ("fur",), "name": "3.png"}
    with pytest.raises(UserError, match=r"2 of 2 images in files\.zip cannot be read"):
        load_checked(Files(None, b""), squash, "skip")


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_large_sets_are_not_read(monkeypatch, augment):
    monkeypatch.setattr(in_memory, "MEMORY_LIMIT", 2 * 16 * 16 * 3)
    small, large = Files(FIRST, FIRST), Files(None, None, None)
    assert load_checked(small, squash, augment=augment)[0] is not small
    assert load_checked(large, squash, augment=augment) == (large, (), ())


def numbered(record, rng):
    """A caption for `CaptionLabels`."""
    return f"a {record['category']} {rng.integers(9)}"


@pytest.mark.parametrize("kind", ["none", "gold", "identity", "captions"])
@pytest.mark.parametrize("augment", ["none", "flip", "crop_flip", "adaface"])
def test_an_example_is_the_same_whether_the_set_fits_into_memory_or_not(tiny_clip, monkeypatch, kind, augment):
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (*size, 3), np.uint8) for size in rng.integers(20, 60, (12, 2))]
    source, preprocess = Files(*map(encoded, pictures)), Preprocess(16)
    labels = {
        "none": lambda: None,
        "gold": lambda: GoldLabels(VOCABULARY),
        "identity": lambda: IdentityLabels(["cat", "dog"]),
        "captions": lambda: CaptionLabels(numbered, load_clip(tiny_clip).tokenizer, 12, "text"),
    }[kind]()

    def batches(limit: int) -> tuple[Source, list[dict[str, np.ndarray]]]:
        monkeypatch.setattr(in_memory, "MEMORY_LIMIT", limit)
        loaded, *_ = load_checked(source, preprocess, augment=augment)
        stream = iter(train_batches(loaded, Encode(preprocess, labels, augment), batch_size=6, seed=3))
        return loaded, [next(stream) for _ in range(6)]

    whole, expected = batches(1 << 30)
    nothing, anew = batches(1)
    some, mixed = batches(12 * 16 * 16 * 3)
    assert whole is not source and nothing is source and some is not source
    np.testing.assert_equal(anew, expected)
    np.testing.assert_equal(mixed, expected)
    if augment in ("crop_flip", "adaface"):
        kept = [isinstance(some.load(index)["image"], np.ndarray) for index in range(12)]
        assert any(kept) and not all(kept)

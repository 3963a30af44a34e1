"""A dataset from its options: which images train, which test, and what is left out."""

import json
import shutil
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.config.options import read
from ecor_jax.data.decode import picture_of
from ecor_jax.data.encode import GoldLabels
from ecor_jax.data.joined import join_rationales
from ecor_jax.data.records import BadImage, Labels
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale.data import open_dataset
from ecor_jax.tasks.rationale.options import RationaleData


def opened(images, rationales, *, training=True, too_long=(), trained_on=None, **options):
    given = {"images": str(images), "rationales": str(rationales)} | options
    asked: Any = {"training": training, "too_long": lambda vocabulary: too_long, "trained_on": trained_on}
    found = open_dataset(read(RationaleData, given, "data."), Preprocess(16), **asked)
    parts = [part for part in (found.train, found.validation, found.test) if part is not None]
    assert found.tally.used == sum(map(len, parts)) == found.tally.found - sum(found.tally.skipped.values())
    return found


def pixels(source) -> list[bytes]:
    return [np.asarray(source[row]["image"]).tobytes() for row in range(len(source))]


def names(source) -> list[str]:
    return [source[row]["name"] for row in range(len(source))]


def per_class(source) -> dict[str, int]:
    return {name: source.categories.count(name) for name in source.classes}


def each(count: int) -> dict[str, int]:
    return dict.fromkeys(("cat", "dog", "grey seal"), count)


@pytest.fixture
def flat(tiny_pictures, tmp_path):
    """The training images alone, without folders of splits."""
    return shutil.copytree(tiny_pictures[0] / "train", tmp_path / "flat")


def test_a_folders_own_splits_are_found(tiny_pictures):
    found = opened(*tiny_pictures)
    assert per_class(found.train) == each(8)
    assert per_class(found.test) == each(5)
    assert all(name.startswith("train/") for name in names(found.train))
    assert all(name.startswith("test/") for name in names(found.test))
    assert found.tally.lines == []
    assert found.vocabulary.classes == ("cat", "dog", "grey seal")


@pytest.mark.parametrize("augment", ["none", "flip", "crop_flip"])
def test_only_pictures_that_are_cut_stay_originals_in_memory(tiny_pictures, augment):
    """The tests' pictures are preprocessed whatever the training does; what a page shows is the original."""
    found = opened(*tiny_pictures, augment=augment)
    assert found.test.load(0)["pixels"].shape == (16, 16, 3)
    assert picture_of(found.test[0]).size == (20, 18)
    loaded = found.train.load(0)
    if augment == "crop_flip":
        assert loaded["image"].shape == (18, 20, 3)
    else:
        assert "image" not in loaded and loaded["pixels"].shape == (16, 16, 3)


def test_splits_by_name_of_which_one_alone_is_divided(tiny_pictures):
    found = opened(*tiny_pictures, train_split="test", test_split="train")
    assert (len(found.train), len(found.test)) == (15, 24)
    found = opened(*tiny_pictures, train_split="train", holdout=0.25)
    assert per_class(found.train) == each(6)
    assert all(name.startswith("train/") for name in names(found.test))
    assert not set(names(found.train)) & set(names(found.test))


def test_an_evaluation_takes_the_test_split_or_all_and_reads_no_training_image(tiny_pictures, flat, tmp_path):
    images = shutil.copytree(tiny_pictures[0], tmp_path / "images")
    (images / "train" / "cat" / "0.png").write_bytes(b"no image")
    for folder, count in ((images, 15), (flat, 24)):
        found = opened(folder, tiny_pictures[1], training=False)
        assert found.train is None and len(found.test) == count


@pytest.mark.parametrize("holdout", [0.1, 0.25, 0.5])
def test_without_splits_a_share_of_every_class_is_held_out(flat, tiny_pictures, holdout):
    found = opened(flat, tiny_pictures[1], holdout=holdout)
    assert per_class(found.test) == each(max(1, round(8 * holdout)))
    train, test = set(names(found.train)), set(names(found.test))
    assert not train & test and len(train | test) == 24


def test_an_evaluation_may_take_the_holdout_of_a_training(flat, tiny_pictures):
    trained = opened(flat, tiny_pictures[1], holdout=0.25)
    named = opened(flat, tiny_pictures[1], holdout=0.25, test_split="holdout")
    evaluated = opened(flat, tiny_pictures[1], holdout=0.25, test_split="holdout", training=False)
    assert names(trained.test) == names(named.test) == names(evaluated.test)
    assert names(trained.train) == names(named.train) and evaluated.tally.skipped == {"of the training split": 18}


def test_the_holdout_is_that_of_its_seed(flat, tiny_pictures):
    tests = [names(opened(flat, tiny_pictures[1], seed=seed).test) for seed in (0, 0, 1, 2, 3)]
    assert tests[0] == tests[1] and any(other != tests[0] for other in tests[2:])


def test_images_of_several_paths_with_commas(tiny_pictures, tmp_path):
    """Each with splits of its own; a folder may have a comma in its name, and is then no two."""
    comma, more = shutil.copytree(tiny_pictures[0], tmp_path / "some,more"), tmp_path / "more"
    assert len(opened(comma, tiny_pictures[1]).train) == 24
    shutil.copytree(tiny_pictures[0], more)
    found = opened(f"{tiny_pictures[0]}, {more}", tiny_pictures[1])
    assert per_class(found.train) == each(16) and len(found.test) == 30
    with pytest.raises(UserError, match=r"/nowhere does not exist"):
        opened(f"{more},/nowhere", tiny_pictures[1])


def test_pictures_that_the_model_was_trained_on_are_left_out_or_counted(flat, tiny_pictures, tmp_path):
    """They are told by their bytes, whatever their names and the file they come from."""
    trained = opened(flat, tiny_pictures[1], holdout=0.25)
    kept = names(trained.test), pixels(trained.test)
    again = {"training": False, "trained_on": trained.trained_on}
    for path in sorted(flat.glob("*/*.png")):
        path.rename(path.with_name(f"renamed_{path.name}"))
    found = opened(shutil.make_archive(str(tmp_path / "again"), "zip", flat), tiny_pictures[1], **again)
    assert ([name.replace("renamed_", "") for name in names(found.test)], pixels(found.test)) == kept
    assert found.tally.as_results() == {"found": 24, "used": 6, "skipped": {"trained on": 18}}
    allowed = opened(flat, tiny_pictures[1], **again, on_overlap="allow")
    assert len(allowed.test) == 24 and str(allowed.tally) == "24 found, 24 used, 18 of them trained on"
    assert allowed.tally.as_results()["trained_on"] == 18
    chosen = opened(flat, tiny_pictures[1], holdout=0.25, validation="0.5")
    assert chosen.trained_on is not None and (chosen.trained_on == again["trained_on"]).all(), "those it chose by too"
    with pytest.raises(UserError, match=r"flat: the model was trained on all 24 pictures; .*data\.on_overlap=allow"):
        opened(flat, tiny_pictures[1], training=False, trained_on=opened(tiny_pictures[0], tiny_pictures[1]).trained_on)
    unknown = opened(flat, tiny_pictures[1], training=False)
    assert len(unknown.test) == 24 and unknown.tally.trained_on is None


def test_test_pictures_among_the_training_pictures_are_left_out(tiny_pictures, tmp_path):
    folder = shutil.copytree(tiny_pictures[0], tmp_path / "images")
    shutil.copy(folder / "train" / "cat" / "0.png", folder / "test" / "cat" / "another.png")
    found = opened(folder, tiny_pictures[1])
    assert per_class(found.test) == each(5) and found.tally.skipped == {"trained on": 1}
    assert found.tally.lines == [f"{folder}: 1 of 16 test pictures are training pictures"]


def test_aliases_rename_classes_of_images(flat, tiny_pictures):
    (flat / "dog").rename(flat / "Canis_lupus")
    with pytest.raises(UserError, match="canis lupus"):
        opened(flat, tiny_pictures[1])
    found = opened(flat, tiny_pictures[1], aliases=" Canis_lupus = dog ")
    assert set(found.test.classes) == {"cat", "dog", "grey seal"}
    for aliases in ("dog", "dog=", "=dog", "cat=dog,x"):
        with pytest.raises(UserError, match=r"data\.aliases: .*expected image class=vocabulary class"):
            opened(flat, tiny_pictures[1], aliases=aliases)


def test_classes_that_do_not_match_are_an_error_or_left_out(flat, tiny_pictures, tmp_path):
    (flat / "dog").rename(flat / "wolf")
    with pytest.raises(UserError, match=r"not in the rationale file: wolf.*no image: dog.*on_missing=allow"):
        opened(flat, tiny_pictures[1])
    found = opened(flat, tiny_pictures[1], on_missing="allow")
    assert set(found.train.classes) == set(found.test.classes) == {"cat", "grey seal"}
    assert "dog" in found.vocabulary.classes  # still a candidate
    assert any("wolf" in line for line in found.tally.lines)


def test_rationales_too_long_are_an_error_or_left_out(tiny_pictures):
    long = ("whiskers", "flippers")
    with pytest.raises(UserError, match=r"2 of 5 rationales have prompts of more tokens.*'whiskers', 'flippers'.*skip"):
        opened(*tiny_pictures, too_long=long)
    with pytest.raises(UserError, match="1 image classes with an empty list of rationales: grey seal"):
        opened(*tiny_pictures, too_long=long, on_long="skip")
    dataset = opened(*tiny_pictures, too_long=long, on_long="skip", on_missing="allow")
    assert dataset.vocabulary.rationales == ("a long tail", "a wet nose", "four legs")
    assert dataset.test.classes == ("cat", "dog")
    assert sum("more tokens than the text tower reads" in line for line in dataset.tally.lines) == 2
    with pytest.raises(UserError, match="5 of 5 rationales"):
        opened(*tiny_pictures, too_long=opened(*tiny_pictures).vocabulary.rationales, on_long="skip")


def test_a_picture_may_name_rationales_that_are_left_out():
    vocabulary = Vocabulary.from_lists({"cat": ["a tail", "fur"], "dog": ["fur"]}).without(["a tail"])
    labels, rng = GoldLabels(vocabulary), np.random.default_rng(0)
    known = Labels(category="cat", rationales=("a tail", "fur"), name="a.png")
    assert labels(known, rng)["rationales"].tolist() == [True]
    with pytest.raises(BadImage, match=r"a\.png shows only rationales that are left out: 'a tail'"):
        labels(known | {"rationales": ("a tail",)}, rng)


def test_folders_of_imagenet_get_a_hint(tmp_path, tiny_pictures):
    shutil.copytree(tiny_pictures[0] / "train" / "cat", tmp_path / "images" / "n01440764")
    with pytest.raises(UserError, match=r'for folders named as ImageNet\'s.*\{"n01440764": \{"name"'):
        opened(tmp_path / "images", tiny_pictures[1], training=False)


def test_bad_images_are_an_error_or_left_out(flat, tiny_pictures):
    (flat / "cat" / "3.png").write_bytes(b"no image")
    torn = flat / "dog" / "1.png"
    torn.write_bytes(torn.read_bytes()[:60])
    with pytest.raises(UserError, match=r"2 of 24 images in .*: cat/3\.png.*; dog/1\.png.*on_bad_image=skip leaves"):
        opened(flat, tiny_pictures[1], training=False)
    found = opened(flat, tiny_pictures[1], training=False, on_bad_image="skip")
    assert len(found.test) == 22 and found.tally.skipped == {"cannot be read": 2}
    assert "cat/3.png" in found.tally.lines[0]
    for path in flat.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="24 of 24 images"):
        opened(flat, tiny_pictures[1], training=False, on_bad_image="skip")


def test_the_built_in_set_needs_no_files():
    found = opened("procedural", "", train_count=12, test_count=5, seed=3)
    assert (len(found.train), len(found.test)) == (12, 5)
    assert found.test[0]["image"].shape == (16, 16, 3)  # as large as the tower's, whichever that is
    assert set(found.train.classes) <= set(found.vocabulary.classes)
    # Image-level gold, of the picture's own class.
    for record in [source[row] for source in (found.train, found.test) for row in range(len(source))]:
        gold = found.vocabulary.rationales_of(found.vocabulary.classes.index(record["category"]))
        assert record["rationales"] and set(record["rationales"]) <= set(gold)
    assert not set(pixels(found.train)) & set(pixels(found.test))
    again, other = (opened("procedural", "", train_count=12, test_count=5, seed=seed) for seed in (3, 4))
    assert pixels(again.test) == pixels(found.test)
    assert not set(pixels(other.train)) & set(pixels(found.train))
    alone = opened("procedural", "", train_count=10**6, test_count=3, training=False)
    assert alone.train is None and len(alone.test) == 3


def test_the_answers_to_a_question_about_the_drawings_are_the_classes(tiny_pictures):
    drawn: Any = {"train_count": 40, "test_count": 40, "question": "count"}
    found = opened("procedural", "", **drawn)
    assert set(found.test.classes) <= set(found.vocabulary.classes) == {"three", "four", "five", "six", "seven"}
    assert found.drawings is None and len(found.vocabulary.rationales) == 204
    with pytest.raises(UserError, match=r"data\.question is 'count'; expected the built-in drawings"):
        opened(*tiny_pictures, question="count")


def test_distractors_are_candidates_without_pictures(tiny_pictures, tmp_path):
    (tmp_path / "others.json").write_text(json.dumps({"bee": ["wings"], "cow": ["horns"], "ant": ["six legs"]}))
    plain, given = opened(*tiny_pictures), {"distractors": str(tmp_path / "others.json")}
    pairs = len(plain.vocabulary.classes) * len(plain.vocabulary.rationales)
    found = opened(*tiny_pictures, **given, pairs=pairs + 1)
    assert found.vocabulary.classes[:3] == plain.vocabulary.classes and len(found.vocabulary.classes) > 3
    assert names(found.test) == names(plain.test) and names(found.train) == names(plain.train)
    # Distractors too long for the text tower are left out, as others are.
    less = opened(*tiny_pictures, **given, pairs=pairs + 1, too_long=found.vocabulary.rationales[-1:], on_long="skip")
    assert less.vocabulary.rationales == found.vocabulary.rationales[:-1]
    for options, expected in (
        ({"pairs": 9}, "expected both or none"),
        (given, "expected both or none"),
        (given | {"pairs": pairs}, f"data.pairs is {pairs}; expected more than the {pairs} pairs without distractors"),
        (given | {"pairs": 99, "rationales_per_prompt": 2}, "expected 1 with data.distractors"),
    ):
        with pytest.raises(UserError, match=expected):
            opened(*tiny_pictures, **options)


def test_joined_gold_of_image_level_rationales(tmp_path):
    # DROR's layout: the second folder is what this very image shows.
    for row, folder in enumerate(("cat/fur", "cat/a_tail", "dog/fur")):
        (tmp_path / "images" / folder).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (8, 8), (row * 40, number * 90, 0)).save(tmp_path / "images" / folder / f"{number}.png")
    (tmp_path / "r.json").write_text(json.dumps({"cat": ["fur", "a tail"], "dog": ["fur"]}))
    found = opened(tmp_path / "images", tmp_path / "r.json", training=False)
    joined = join_rationales(found.vocabulary, 2)
    labels, rng, gold = GoldLabels(found.vocabulary, joined), np.random.default_rng(0), {}
    for one in (found.test[row] for row in range(len(found.test))):
        chosen = np.flatnonzero(labels(one, rng)["rationales"])
        gold[one["category"], one["rationales"]] = [joined.vocabulary.rationales[number] for number in chosen]
    # No image shows both; what the dog has, one of the cats shows.
    assert gold == {("cat", ("fur",)): ["fur"], ("cat", ("a tail",)): [], ("dog", ("fur",)): ["fur"]}


def test_a_validation_part_is_taken_from_what_is_trained_on(tiny_pictures, flat):
    whole = opened(flat, tiny_pictures[1], holdout=0.25)
    parts = opened(flat, tiny_pictures[1], holdout=0.25, validation="0.5")
    assert names(parts.test) == names(whole.test) and whole.validation is None
    assert per_class(parts.validation) == per_class(parts.train) == each(3)
    assert sorted(names(parts.train) + names(parts.validation)) == sorted(names(whole.train))
    assert names(opened(flat, tiny_pictures[1], holdout=0.25, validation="0.5").train) == names(parts.train)
    named = opened(*tiny_pictures, validation="test")
    assert names(named.validation) == names(named.test)
    assert opened(*tiny_pictures, validation="0.5", training=False).validation is None
    with pytest.raises(UserError, match=r"data\.validation is 1\.5; expected a share between 0 and 1, or the name of"):
        opened(*tiny_pictures, validation="1.5")


def test_pictures_are_scaled_as_drors_code_does(tmp_path, tiny_pictures):
    """Those to train on to a square whatever their shape; those of the test at 256 for 224, then their middle."""
    folder = shutil.copytree(tiny_pictures[0], tmp_path / "images")
    rng = np.random.default_rng(0)
    wide = Image.fromarray(rng.integers(0, 256, (32, 64, 3), np.uint8))
    for path in folder.glob("*/*/*.png"):
        wide.save(path)
    found = opened(folder, tiny_pictures[1], resize="dror", on_overlap="allow")
    bicubic = Image.Resampling.BICUBIC
    np.testing.assert_array_equal(found.train.load(0)["pixels"], np.asarray(wide.resize((16, 16), bicubic)))
    # 16 * 256 / 224 is 18.
    scaled = np.asarray(wide.resize((36, 18), bicubic))
    np.testing.assert_array_equal(found.test.load(0)["pixels"], scaled[1:17, 10:26])
    plain = opened(folder, tiny_pictures[1], on_overlap="allow")
    np.testing.assert_array_equal(plain.test.load(0)["pixels"], Preprocess(16)(wide))

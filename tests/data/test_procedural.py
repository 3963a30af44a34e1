"""The built-in drawn set: what is said of a picture is what is drawn in it."""

import functools
import itertools
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest

from ecor_jax.data.captions import ProceduralCaptions
from ecor_jax.data.procedural import Procedural, vocabulary
from ecor_jax.data.procedural.bodies import SHAPES
from ecor_jax.data.procedural.objects import KINDS
from ecor_jax.data.procedural.painting import paint, part_mask
from ecor_jax.data.procedural.parts import DETAILS, PARTS
from ecor_jax.data.procedural.scene import STYLES, PostProcessing, Scene, sample_scene, without
from ecor_jax.data.procedural.slots import ObjectClass
from ecor_jax.data.procedural.surfaces import SURFACES
from ecor_jax.data.records import Record
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError

COUNT = len(KINDS)
each_class = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def _differing(first: np.ndarray, second: np.ndarray) -> int:
    """Pixels that differ by more than 16 grey levels in some channel."""
    return int((np.abs(first.astype(int) - second.astype(int)).max(axis=-1) > 16).sum())


def _scenes(kind: ObjectClass, style, seed: int, count: int) -> list[Scene]:
    first = KINDS.index(kind)
    return [sample_scene(style, seed, first + COUNT * k) for k in range(count)]


@functools.cache
def _every_rationale(kind: ObjectClass, style, seed: int) -> list[tuple[Scene, list[str]]]:
    """Scenes that show every rationale of the class, each with those that the scenes before it do not show."""
    found, missing = [], set(kind.rationales)
    for index in range(KINDS.index(kind), 200 * COUNT, COUNT):
        scene = sample_scene(style, seed, index)
        if new := missing.intersection(scene.rationales):
            found.append((scene, sorted(new)))
            missing -= new
        if not missing:
            return found
    raise AssertionError(f"never drawn: {missing}")


@pytest.mark.parametrize("style", STYLES)
def test_pictures_are_a_pure_function_of_style_seed_and_index(style):
    first, again = Procedural(60, style=style, seed=3), Procedural(90, style=style, seed=3)
    for index in (59, 0, 17):
        np.testing.assert_equal(first[index], again[index])
    np.testing.assert_equal(pickle.loads(pickle.dumps(first))[5], first[5])
    other_style = STYLES[STYLES.index(style) - 1]
    other_seed, other_look = Procedural(1, style=style, seed=4), Procedural(1, style=other_style, seed=3)
    for record, least in ((other_seed[0], 100), (first[COUNT], 100), (other_look[0], 1000)):
        assert _differing(first[0]["image"], record["image"]) > least
    for size in (32, 64, 100):
        record = Procedural(2, style=style, seed=0, size=size)[1]
        assert record["name"] == f"{style}-1"
        assert record["image"].shape == (size, size, 3) and record["image"].dtype == np.uint8


@pytest.mark.parametrize("style", STYLES)
def test_records_are_the_scenes(style):
    source = Procedural(2 * COUNT, style=style, seed=0)
    assert source.categories == vocabulary().classes * 2
    for index in range(0, 2 * COUNT, 7):
        scene, record = sample_scene(style, 0, index), source[index]
        assert record["category"] == source.categories[index] == scene.kind.name
        assert record["rationales"] == tuple(part.rationale for part in scene.parts)
        np.testing.assert_array_equal(record["image"], paint(scene, 64))


@pytest.mark.parametrize("style, size", list(itertools.product(STYLES, (48, 64))))
@each_class
def test_every_rationale_is_seen(kind, style, size):
    """The picture without a part differs in many pixels."""
    for scene, rationales in _every_rationale(kind, style, seed=5):
        picture = paint(scene, size)
        for rationale in rationales:
            other = without(scene, rationale)
            assert other.rationales == tuple(text for text in scene.rationales if text != rationale)
            changed = _differing(picture, paint(other, size))
            assert changed >= (14 if size == 48 else 20), f"{rationale}: {changed} pixels"


@each_class
def test_masks_are_where_the_parts_are(kind):
    """Without a part, a plain drawing changes within its mask, but for the rim of the mask and what the part hides."""
    for scene, rationales in _every_rationale(kind, "pretrain", seed=5):
        picture = paint(scene, 64).astype(int)
        for rationale in rationales:
            mask = part_mask(scene, rationale, 64)
            assert mask.shape == (64, 64) and mask.dtype == bool
            difference = np.abs(picture - paint(without(scene, rationale), 64)).max(axis=-1)
            assert (difference > 16).sum() >= 20, rationale
            assert ((difference > 40) & ~_grown(mask)).sum() == 0, rationale
            assert ((difference > 40) & mask).sum() >= 0.3 * mask.sum(), rationale


def _grown(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1)
    shifts = [padded[y : y + 64, x : x + 64] for y in range(3) for x in range(3)]
    return np.logical_or.reduce(shifts)


@each_class
def test_parts_do_not_overlap(kind):
    """Two parts of a drawing share no more than their outlines; only surface patterns are drawn under other parts."""
    for scene in _scenes(kind, "pretrain", 7, 4):
        parts = [part for part in scene.parts if part.rationale in PARTS]
        masks = [part_mask(replace(scene, parts=(part,)), part.rationale, 64) for part in parts]
        for (first, one), (second, two) in itertools.combinations(zip(parts, masks, strict=True), 2):
            shared = (one & two).sum() / min(one.sum(), two.sum())
            assert shared < 0.25, f"{first.rationale} and {second.rationale}: {shared:.2f}"


@each_class
def test_nothing_is_cut_off(kind):
    for style in STYLES:
        for scene in _scenes(kind, style, 1, 3):
            scene = replace(scene, background=replace(scene.background, pattern="plain"), finish=PostProcessing())
            picture = paint(scene, 48)
            rim = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
            assert (rim == scene.background.ground).all(), style


@each_class
def test_a_drawing_shows_some_of_the_slots_of_its_class(kind):
    counts = set()
    for scene in _scenes(kind, "target", 2, 40):
        counts.add(len(scene.rationales))
        assert 3 <= len(scene.rationales) < len(kind.slots) and set(scene.rationales) <= set(kind.rationales)
        assert len({id(part.slot) for part in scene.parts}) == len(scene.parts)
    assert len(counts) > 1


def test_vocabulary_is_many_to_many():
    words = vocabulary()
    assert words.classes == tuple(kind.name for kind in KINDS)
    assert len(words.classes) == 40 and len(words.rationales) == 204 and words.gold.sum() == 298
    assert set(words.gold.sum(axis=1)) <= {4, 5, 6, 7, 8}
    assert words.gold.any(axis=0).all() and words.gold.sum(axis=0).max() <= 5
    assert len(words.shared()) >= 50
    own = words.gold[:, words.gold.sum(axis=0) == 1].sum(axis=1)
    assert own.min() >= 2
    assert not words.leakage()
    assert not PARTS.keys() & SURFACES.keys() and set(words.rationales) == PARTS.keys() | SURFACES.keys()
    assert all(normalise_name(text) == text for text in words.classes + words.rationales)
    assert all(len(text.split()) <= 6 for text in words.rationales)


def test_rationales_name_no_class_and_contain_no_other():
    words = vocabulary()
    for name, text in itertools.product(words.classes, words.rationales):
        assert not re.search(rf"\b{name}s?\b", text), (name, text)
    for one, other in itertools.permutations(words.rationales, 2):
        assert one not in other


def test_every_drawing_function_is_used():
    assert DETAILS.keys() == {detail.rationales[0] for kind in KINDS for detail in kind.details}
    assert SHAPES.keys() == {shape for kind in KINDS for shape in kind.shapes}


def test_what_is_shown_always_tells_the_class():
    """The fewest parts a picture shows, three, never all belong to another class too."""
    for kind, other in itertools.permutations(KINDS, 2):
        common = [set(slot.rationales) & set(other.rationales) for slot in kind.slots]
        assert sum(map(bool, common)) < 3, (kind.name, other.name, common)


def test_captions_say_nothing_that_is_not_drawn_in_words_of_the_corpus():
    words, rng, captions = vocabulary(), np.random.default_rng(0), ProceduralCaptions()
    known = set(re.findall("[a-z]+", " ".join(captions.corpus())))
    source, class_alone, parts_alone, counts = Procedural(COUNT, style="pretrain", seed=0, size=16), 0, 0, set()
    for index in range(COUNT):
        record = source[index]
        for _ in range(18):
            text = captions(record, rng)
            named = {name for name in words.classes if re.search(rf"\b{name}\b", text)}
            shown = {rationale for rationale in words.rationales if rationale in text}
            assert named <= {record["category"]} and shown <= set(record["rationales"]), text
            assert (named or shown) and set(re.findall("[a-z]+", text)) <= known, text
            class_alone, parts_alone = class_alone + (not shown), parts_alone + (not named)
            counts.add(len(shown))
    assert 0.1 < class_alone / 720 < 0.3 and 0.3 < parts_alone / 720 < 0.5 and counts == {0, 1, 2, 3}


def test_captions_know_the_prompts():
    record = Procedural(1, style="pretrain", seed=0, size=16)[0]
    name, first = record["category"], record["rationales"][0]
    rng, caption = np.random.default_rng(1), ProceduralCaptions()
    texts = {caption(record, rng) for _ in range(2000)}
    whole = f"this is a photo of a {name}"
    assert {whole, f"there is {first}.", f"{whole} because there is {first}"} <= texts
    assert any(text.count(" and ") == 2 for text in texts)
    bare = Record(image=b"", category="boat", rationales=(), name="")
    assert all("boat" in caption(bare, rng) for _ in range(20))


def test_bad_options_indices_and_parts():
    with pytest.raises(UserError, match="style 'cubist': expected one of pretrain, target, shifted"):
        Procedural(1, style="cubist", seed=0)
    with pytest.raises(UserError, match="count -1, seed 0, size 8: expected at least 0, 0 and 16"):
        Procedural(-1, style="target", seed=0, size=8)
    for index in (2, -1):
        with pytest.raises(IndexError, match=f"picture {index}: expected 0 <= index < 2"):
            Procedural(2, style="target", seed=0)[index]
    scene = sample_scene("pretrain", 0, 0)
    for function in (without, lambda scene, text: part_mask(scene, text, 32)):
        with pytest.raises(UserError, match="the drawing shows no 'a red herring', but "):
            function(scene, "a red herring")

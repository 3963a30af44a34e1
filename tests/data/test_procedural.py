"""The built-in drawn set: what is said of a picture is what is drawn in it."""

import itertools
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest

from ecor_jax.data.captions import ProceduralCaptions
from ecor_jax.data.procedural import Procedural, vocabulary
from ecor_jax.data.procedural.objects import KINDS
from ecor_jax.data.procedural.painting import paint
from ecor_jax.data.procedural.parts import PARTS
from ecor_jax.data.procedural.scene import STYLES, Part, PostProcessing, Scene, sample_scene
from ecor_jax.data.procedural.surfaces import SURFACES
from ecor_jax.data.records import Record
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError

OTHER = {"pretrain": "target", "target": "pretrain"}


def _differing(first: np.ndarray, second: np.ndarray) -> int:
    """Pixels that differ by more than 16 grey levels in some channel."""
    return int((np.abs(first.astype(int) - second.astype(int)).max(axis=-1) > 16).sum())


def _without(scene: Scene, part: Part) -> Scene:
    return replace(scene, parts=tuple(other for other in scene.parts if other is not part))


@pytest.mark.parametrize("style", STYLES)
def test_pictures_are_a_pure_function_of_style_seed_and_index(style):
    first, again = Procedural(30, style=style, seed=3), Procedural(50, style=style, seed=3)
    for index in (29, 0, 17):
        np.testing.assert_equal(first[index], again[index])
    np.testing.assert_equal(pickle.loads(pickle.dumps(first))[5], first[5])
    other_seed, other_style = Procedural(1, style=style, seed=4), Procedural(1, style=OTHER[style], seed=3)
    for record, least in ((other_seed[0], 100), (first[12], 100), (other_style[0], 1000)):
        assert _differing(first[0]["image"], record["image"]) > least
    for size in (32, 64, 100):
        record = Procedural(2, style=style, seed=0, size=size)[1]
        assert record["name"] == f"{style}-1"
        assert record["image"].shape == (size, size, 3) and record["image"].dtype == np.uint8


@pytest.mark.parametrize("style", STYLES)
def test_gold_is_exactly_what_is_drawn(style):
    """Each gold rationale is seen: the picture without it differs in many pixels."""
    source = Procedural(36, style=style, seed=0)
    assert source.categories == vocabulary().classes * 3
    for index in range(36):
        scene, record = sample_scene(style, 0, index), source[index]
        assert record["category"] == source.categories[index]
        assert record["rationales"] == tuple(part.rationale for part in scene.parts)
        picture = paint(scene, 64)
        np.testing.assert_array_equal(record["image"], picture)
        for part in scene.parts:
            changed = _differing(picture, paint(_without(scene, part), 64))
            assert changed >= 20, f"{style}-{index}: {part.rationale} changes {changed} pixels"


@pytest.mark.parametrize("style", STYLES)
def test_nothing_is_cut_off(style):
    for index in range(48):
        scene = sample_scene(style, 1, index)
        scene = replace(scene, background=replace(scene.background, pattern="plain"), finish=PostProcessing())
        picture = paint(scene, 48)
        rim = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert (rim == scene.background.ground).all(), f"{style}-{index}"


def test_every_class_shows_every_rationale_of_its_own_and_no_other():
    seen: dict[str, set[str]] = {kind.name: set() for kind in KINDS}
    for index in range(1200):
        scene = sample_scene("target", 2, index)
        assert 3 <= len(scene.rationales) <= 5
        assert len({id(part.slot) for part in scene.parts}) == len(scene.parts)
        seen[scene.kind.name].update(scene.rationales)
    assert seen == {kind.name: set(kind.rationales) for kind in KINDS}


def test_vocabulary_is_many_to_many():
    words = vocabulary()
    assert words.classes == tuple(kind.name for kind in KINDS)
    assert len(words.classes) == 12 and len(words.rationales) == 43 and words.gold.sum() == 81
    assert set(words.gold.sum(axis=1)) <= {5, 6, 7}
    assert words.gold.any(axis=0).all() and words.gold.sum(axis=0).max() <= 4
    assert len(words.shared()) >= 25
    assert not words.leakage()
    assert not PARTS.keys() & SURFACES.keys() and set(words.rationales) == PARTS.keys() | SURFACES.keys()
    assert all(normalise_name(text) == text for text in words.classes + words.rationales)


def test_what_is_shown_always_tells_the_class():
    """The fewest parts a picture shows, three, never all belong to another class too."""
    for kind, other in itertools.permutations(KINDS, 2):
        for slots in itertools.combinations(kind.slots, 3):
            for shown in itertools.product(*(slot.rationales for slot in slots)):
                assert not set(shown) <= set(other.rationales), (kind.name, other.name, shown)


def test_captions_say_nothing_that_is_not_drawn_in_words_of_the_corpus():
    words, rng, captions = vocabulary(), np.random.default_rng(0), ProceduralCaptions()
    known = set(re.findall("[a-z]+", " ".join(captions.corpus())))
    source, class_alone, parts_alone = Procedural(24, style="pretrain", seed=0, size=16), 0, 0
    for index in range(24):
        record = source[index]
        for _ in range(30):
            text = captions(record, rng)
            named = {name for name in words.classes if re.search(rf"\b{name}\b", text)}
            shown = {rationale for rationale in words.rationales if rationale in text}
            assert named <= {record["category"]} and shown <= set(record["rationales"]), text
            assert (named or shown) and set(re.findall("[a-z]+", text)) <= known, text
            class_alone, parts_alone = class_alone + (not shown), parts_alone + (not named)
    assert 0.1 < class_alone / 720 < 0.3 and 0.3 < parts_alone / 720 < 0.5


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


def test_bad_options_and_indices():
    with pytest.raises(UserError, match="style 'cubist': expected one of pretrain, target"):
        Procedural(1, style="cubist", seed=0)
    with pytest.raises(UserError, match="count -1, seed 0, size 8: expected at least 0, 0 and 16"):
        Procedural(-1, style="target", seed=0, size=8)
    for index in (2, -1):
        with pytest.raises(IndexError, match=f"picture {index}: expected 0 <= index < 2"):
            Procedural(2, style="target", seed=0)[index]

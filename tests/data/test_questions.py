"""Questions about the drawings: their answers, held against what is painted."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from ecor_jax.data.captions import QuestionCaptions
from ecor_jax.data.procedural import Procedural
from ecor_jax.data.procedural.painting import paint
from ecor_jax.data.procedural.questions import (
    PROMPTS,
    QUESTIONS,
    Questions,
    answer_of,
    colour_name,
    question_of,
    question_vocabulary,
)
from ecor_jax.data.procedural.scene import sample_scene
from tests.data.toys import records_of

DRAWINGS = Procedural(120, style="shifted", seed=3)


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_and_what_supports_them_are_candidates(question):
    words = question_vocabulary(question)
    records = records_of(Questions(DRAWINGS, question))
    assert len({record["category"] for record in records}) > 3
    for number, record in enumerate(records):
        row, gold = words.classes.index(record["category"]), record["rationales"]
        assert gold and all(words.gold[row, words.rationales.index(text)] for text in gold)
        assert record["name"] == f"shifted-{number} {question}" and question_of(record["name"]) == question
        np.testing.assert_array_equal(record["image"], DRAWINGS[number]["image"])


@pytest.mark.parametrize("style", ["pretrain", "target", "shifted"])
def test_the_colour_is_that_of_most_pixels_of_the_body(style):
    """Of paintings without parts, noise and blur, on a plain ground; the hue may be turned."""
    checked = 0
    for index in range(80):
        scene = sample_scene(style, 5, index)
        if scene.rendition.tint != 1 or scene.kind.details:
            continue
        background = dataclasses.replace(scene.background, pattern="plain")
        finish = dataclasses.replace(scene.finish, noise=1e-9, blur=0.0)  # without any, nothing is turned
        bare = dataclasses.replace(scene, parts=(), background=background, finish=finish)
        ground = paint(bare, 64)[0, 0].tolist()
        counts = Counter(map(tuple, paint(bare, 64).reshape(-1, 3).tolist()))
        painted = next(colour for colour, _ in counts.most_common() if list(colour) != ground)
        assert answer_of(scene, "colour").text == colour_name(painted), index
        checked += 1
    assert checked > 5


def test_the_count_is_that_of_the_parts_that_can_be_left_out():
    words = ("no", "one", "two", "three", "four", "five", "six", "seven")
    for index, record in enumerate(records_of(Questions(Procedural(40, style="target", seed=0), "count"))):
        target = Procedural(40, style="target", seed=0)
        texts = target[index]["rationales"]
        changed = [text for text in texts if (target.without(index, text)["image"] != record["image"]).any()]
        assert changed == [text for text in texts if target.mask(index, text).any()]
        assert words.index(record["category"]) == len(texts) and record["rationales"] == texts


def test_the_place_is_where_the_largest_part_is_seen():
    directions = {"above": (0, -1), "below": (0, 1), "on the left": (-1, 0), "on the right": (1, 0)}
    found = Counter()
    for index, record in enumerate(records_of(Questions(DRAWINGS, "where"))):
        if record["category"] not in directions:
            continue
        scene = sample_scene("shifted", 3, index)
        rows, columns = np.nonzero(DRAWINGS.mask(index, record["rationales"][0]))
        moved = np.array([columns.mean(), rows.mean()]) / 64 - np.array(scene.centre)
        found[float(moved @ np.array(directions[record["category"]])) > 0] += 1
    assert found[True] > 70 and found[False] == 0


def test_the_largest_part_is_supported_by_the_object_and_the_caption_by_all_parts():
    part, caption = (records_of(Questions(DRAWINGS, question)) for question in ("part", "caption"))
    for number, record in enumerate(records_of(DRAWINGS)):
        assert part[number]["category"] in record["rationales"]
        assert part[number]["rationales"] == (caption[number]["category"],)
        assert caption[number]["category"].split()[-1] == record["category"].split()[-1]
        assert caption[number]["rationales"] == record["rationales"]
    assert caption[5]["category"] == "an airplane" and caption[0]["category"] == "a bus"


def test_captions_answer_all_questions_in_their_prompts():
    source, rng = Questions(Procedural(400, style="pretrain", seed=0), None), np.random.default_rng(0)
    asked = Counter(question_of(source[index]["name"]) for index in range(400))
    assert asked == dict.fromkeys(QUESTIONS, 80)
    corpus = set(QuestionCaptions().corpus())
    kinds = Counter()
    for index in range(400):
        record = source[index]
        caption, prompts = QuestionCaptions()(record, rng), PROMPTS[question_of(record["name"])]
        texts = {kind: [getattr(prompts, kind).format(c=record["category"], r=r) for r in record["rationales"]]
                 for kind in ("answer", "support", "pair")}  # fmt: skip
        kinds[next(kind for kind, own in texts.items() if caption.removesuffix(".") in own)] += 1
        assert f"{caption.removesuffix('.')}." in corpus
    assert 150 < kinds["answer"] < 250

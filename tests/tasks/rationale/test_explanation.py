"""What an explanation says of its votes, and as plain values."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.tasks.rationale.doubly_right import WR, majority_vote
from ecor_jax.tasks.rationale.explanation import ExplainedPicture, Explanation, Pair, explanation_of
from ecor_jax.tasks.rationale.predict import Predictions

VOCABULARY = Vocabulary.from_lists({"cat": ["fur", "whiskers"], "dog": ["fur"], "owl": ["wings"]})


def answer(*categories: int) -> Explanation:
    """A method's answer of which the top pairs name these categories, with the rationales in turn."""
    pairs = np.array([categories])
    predictions = Predictions(
        pairs, np.arange(pairs.size)[None] % 3, np.linspace(0.3, 0.1, pairs.size)[None], np.array([2]), np.array([0.5]),
        np.array([0]), np.array([0.2]), None, np.array([1]), VOCABULARY.gold[[1]],
    )  # fmt: skip
    return explanation_of("ecor", predictions, 0, VOCABULARY, int(majority_vote(pairs)[0]), WR)


@pytest.mark.parametrize(
    ("categories", "category", "votes", "tied"),
    [
        ((0, 1, 0), "cat", 2, ()),
        ((0, 1, 2), "cat", 1, ("dog", "owl")),
        ((2, 1, 1, 2, 0), "owl", 2, ("dog",)),
        ((1,), "dog", 1, ()),
    ],
)
def test_votes_and_ties(categories, category, votes, tied):
    said = answer(*categories)
    assert (said.voted, said.votes, said.tied) == (category, votes, tied)


def test_the_category_is_the_likeliest_one_but_where_an_outcome_was_decided_by_the_vote():
    judged = answer(0, 1, 0)
    assert (judged.category, judged.voted, judged.likeliest) == ("cat", "cat", "owl")
    asked = dataclasses.replace(judged, outcome=None)
    assert asked.category == "owl" and ExplainedPicture("a", Image.new("L", (4, 4)), [judged, asked]).category == "owl"
    assert dataclasses.replace(asked, likeliest=None).category == "cat"


def test_methods_disagree_by_their_categories():
    image = Image.new("L", (4, 4))
    assert ExplainedPicture("a", image, [answer(0, 1), answer(1, 1)]).disputed
    assert not ExplainedPicture("a", image, [answer(0, 1), answer(0, 0)]).disputed
    assert not ExplainedPicture("a", image, []).disputed


def test_words_and_plain_values():
    said = answer(0, 1, 0)
    assert said.pairs[1] == Pair("dog", VOCABULARY.rationales[1], pytest.approx(0.2))
    assert (said.likeliest, said.probability, said.outcome) == ("owl", 0.5, "wr")
    picture = ExplainedPicture("a.png", Image.new("L", (4, 4)), [said], "cat", ("fur",))
    values = json.loads(json.dumps(picture.to_dict()))
    assert values.keys() == {"name", "explanations", "gold_category", "gold_rationales"}
    (plain,) = values["explanations"]
    assert plain["category"] == "cat" and plain["votes"] == 2 and plain["pairs"][0]["category"] == "cat"
    assert plain["classes"] == 3 and plain["chance"] == said.chance == pytest.approx(1 / (3 * plain["rationales"]))

"""RR, RW, WR, WW: hand-worked cases, and a slow evaluate written from the definitions for any others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.tasks.rationale.doubly_right import (
    RR,
    RW,
    WR,
    WW,
    each_rate,
    evaluate,
    rates,
    right_share,
    strict_outcomes,
)

TEMPLATE = "This is a photo of a {c} because there is {r}"
# Names within names, of classes and of rationales; "tail" within "a long tail"; a class within a rationale.
CLASSES = ("cat", "bobcat", "seal", "grey seal", "a")
RATIONALES = ("tail", "a long tail", "fur", "grey fur", "cat ears", "whiskers")


def vote(pairs) -> str:
    """The category of most pairs; of those that tie, the one that comes first."""
    categories = [category for category, _ in pairs]
    return max(dict.fromkeys(categories), key=categories.count)


def slow_strict(pairs, gold_category, gold_rationales, template):
    """The outcome by exact names: the vote of all pairs, then whether some pair is doubly gold for it."""
    voted = vote(pairs)
    right = any(category == voted and rationale in gold_rationales for category, rationale in pairs)
    return (RR if right else RW) if voted == gold_category else (WR if right else WW), voted


def slow_dror(pairs, gold_category, gold_rationales, template):
    """The released loop: walk down, count the categories, stop at a text with gold category and gold rationale."""
    texts = [template.replace("{c}", category).replace("{r}", rationale) for category, rationale in pairs]

    def right(category: str) -> list[int]:
        """The pairs whose text has this category and a gold rationale."""
        return [n for n, text in enumerate(texts) if category in text and any(r in text for r in gold_rationales)]

    hits = right(gold_category)
    voted = vote(pairs[: hits[0] + 1] if hits else pairs)
    if voted == gold_category:
        return (RR if hits else RW), voted
    return (WR if right(voted) else WW), voted


def vocabulary(classes=CLASSES, rationales=RATIONALES) -> Vocabulary:
    return Vocabulary(tuple(classes), tuple(rationales), np.ones((len(classes), len(rationales)), bool))


names = st.text("ab ", min_size=1, max_size=3).map(str.strip).filter(bool)


@st.composite
def cases(draw):
    """A small vocabulary, with many names inside one another, and the pairs of several images."""
    classes = draw(st.lists(names | st.sampled_from(CLASSES), min_size=1, max_size=5, unique=True))
    rationales = draw(st.lists(names | st.sampled_from(RATIONALES), min_size=1, max_size=5, unique=True))
    k = draw(st.integers(1, min(6, len(classes) * len(rationales))))
    everything = [(c, r) for c in range(len(classes)) for r in range(len(rationales))]
    images = []
    for _ in range(draw(st.integers(1, 4))):
        pairs = draw(st.lists(st.sampled_from(everything), min_size=k, max_size=k, unique=True))
        gold = draw(st.sets(st.integers(0, len(rationales) - 1)))
        images.append((pairs, draw(st.integers(0, len(classes) - 1)), gold))
    return vocabulary(classes, rationales), images


@settings(max_examples=300)
@given(cases(), st.sampled_from(["strict", "dror"]), st.sampled_from([TEMPLATE, "{c} with {r}", "{r}{c}"]))
def test_outcomes_equal_the_slow_judge(case, mode, template):
    words, images = case
    categories = np.array([[c for c, _ in pairs] for pairs, _, _ in images])
    rationales = np.array([[r for _, r in pairs] for pairs, _, _ in images])
    gold_category = np.array([category for _, category, _ in images])
    gold = np.array([[r in chosen for r in range(len(words.rationales))] for _, _, chosen in images])
    result = evaluate(mode, categories, rationales, gold_category, gold, words, template)
    outcomes = []
    for image, (pairs, category, chosen) in enumerate(images):
        named = [(words.classes[c], words.rationales[r]) for c, r in pairs]
        gold_names = [words.rationales[r] for r in sorted(chosen)]
        slow = slow_strict if mode == "strict" else slow_dror
        outcome, voted = slow(named, words.classes[category], gold_names, template)
        assert (result.outcome[image], words.classes[result.voted[image]]) == (outcome, voted)
        outcomes.append(outcome)
    shares = rates(each_rate(result.outcome))
    for name, outcome in {"rr": RR, "rw": RW, "wr": WR, "ww": WW}.items():
        assert shares[name] == pytest.approx(outcomes.count(outcome) / len(outcomes))
    right = np.mean([words.classes[v] == words.classes[c] for v, (_, c, _) in zip(result.voted, images, strict=True)])
    assert shares["accuracy"] == pytest.approx(right)
    assert shares["count"] == len(images)


def test_of_several_rationales_the_share_that_is_right_counts():
    # By rows: two of three votes for class 0 name gold rationales; none of two does; one of two.
    categories = np.array([[0, 0, 1, 0], [0, 2, 0, 1], [1, 1, 2, 0]])
    rationales = np.array([[0, 1, 2, 3], [3, 0, 2, 1], [0, 1, 2, 3]])
    gold = np.array([[True, True, True, False], [True, True, False, False], [True, False, True, True]])
    shares = right_share(categories, rationales, np.array([0, 0, 1]), gold)
    np.testing.assert_allclose(shares, [2 / 3, 0, 1 / 2])
    # A rationale is right in the strict sense if some are.
    outcome = strict_outcomes(categories, rationales, np.array([0, 0, 0]), gold).outcome
    np.testing.assert_array_equal(outcome, [RR, RW, WR])

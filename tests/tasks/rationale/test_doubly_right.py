"""RR, RW, WR, WW: hand-worked cases, and a slow evaluate written from the definitions for any others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.tasks.rationale.doubly_right import RR, RW, WR, WW, evaluate, majority_vote, rates

TEMPLATE = "This is a photo of a {c} because there is {r}"
# Names within names, of classes and of rationales; "tail" within "a long tail"; a class within a rationale.
CLASSES = ("cat", "bobcat", "seal", "grey seal", "a")
RATIONALES = ("tail", "a long tail", "fur", "grey fur", "cat ears", "whiskers")


def slow_strict(pairs, gold_category, gold_rationales):
    """The outcome by exact names: the vote of all pairs, then whether some pair is doubly gold for it."""
    order, votes = [], {}
    for category, _ in pairs:
        if category not in votes:
            order.append(category)
            votes[category] = 0
        votes[category] += 1
    voted = order[0]
    for category in order:
        if votes[category] > votes[voted]:
            voted = category
    if voted == gold_category:
        right = any(category == gold_category and rationale in gold_rationales for category, rationale in pairs)
        return ("RR" if right else "RW"), voted
    right = any(category == voted and rationale in gold_rationales for category, rationale in pairs)
    return ("WR" if right else "WW"), voted


def slow_dror(pairs, gold_category, gold_rationales, template):
    """The released loop: walk down, count the categories, stop at a text with gold category and gold rationale."""
    texts = [template.replace("{c}", category).replace("{r}", rationale) for category, rationale in pairs]
    histogram, hit = {}, False
    for text, (category, _) in zip(texts, pairs, strict=True):
        histogram[category] = histogram.get(category, 0) + 1
        for rationale in gold_rationales:
            if gold_category in text and rationale in text:
                hit = True
        if hit:
            break
    prediction, most = None, 0
    for category, count in histogram.items():
        if count > most:
            prediction, most = category, count
    if prediction == gold_category:
        return ("RR" if hit else "RW"), prediction
    for text in texts:
        for rationale in gold_rationales:
            if prediction in text and rationale in text:
                return "WR", prediction
    return "WW", prediction


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


@settings(max_examples=300, deadline=None)
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
        slow = slow_strict if mode == "strict" else lambda *args: slow_dror(*args, template)
        outcome, voted = slow(named, words.classes[category], gold_names)
        assert words.classes[result.voted[image]] == voted
        assert {"RR": RR, "RW": RW, "WR": WR, "WW": WW}[outcome] == result.outcome[image]
        outcomes.append(outcome)
    shares = rates(result.outcome)
    for name in ("RR", "RW", "WR", "WW"):
        assert shares[name.lower()] == pytest.approx(outcomes.count(name) / len(outcomes))
    assert shares["rr"] + shares["rw"] + shares["wr"] + shares["ww"] == pytest.approx(1)
    right = np.mean([words.classes[v] == words.classes[c] for v, (_, c, _) in zip(result.voted, images, strict=True)])
    assert shares["accuracy"] == pytest.approx(right)
    assert shares["count"] == len(images)


@pytest.mark.parametrize(
    ("ranked", "voted"),
    [([3], 3), ([2, 1, 1], 1), ([2, 1, 1, 2], 2), ([1, 2, 2, 1], 1), ([0, 4, 3, 2, 4], 4), ([5, 4, 3], 5)],
)
def test_the_majority_wins_and_a_tie_goes_to_the_higher_ranked(ranked, voted):
    assert majority_vote(np.array([ranked, ranked])).tolist() == [voted, voted]

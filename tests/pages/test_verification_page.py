"""What is particular to the pages of faces."""

from dataclasses import replace

import pytest

from tests.pages import examples

MINUS = "\N{MINUS SIGN}"
ABOVE, SHORT = "The same person: similarity 0.83", "Not the same person: similarity 0.83"


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        (0.71, f"{ABOVE} is above the threshold 0.71"),
        (0.8299, f"{ABOVE}00 is above the threshold 0.8299"),
        (0.95, f"{SHORT} is 0.12 short of the threshold 0.95"),
        (0.83, f"{SHORT} is not above the threshold 0.83, but equal to it"),
        (-0.5, f"{ABOVE} is above the threshold {MINUS}0.50"),
    ],
)
def test_the_verdict_in_words(card, threshold, words):
    pair = card(replace(examples.MATCH, threshold=threshold))
    assert pair.texts("h3") == [words] and not pair.all("p", class_="verdict")


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("pair", [examples.MATCH, examples.NO_MATCH], ids=["match", "no match"])
def test_gold_in_words(card, pair, same):
    truth = "this is the same person" if same else "these are two people"
    verdict = "✓ right" if same == (pair is examples.MATCH) else "✗ wrong"
    assert card(replace(pair, same=same)).texts("p", class_="verdict") == [f"{verdict}: {truth}"]


def reasons(card) -> tuple[list[str], list[list[str]], str]:
    """The heading; of each group its name, what is said of it and of its concepts; all that the card says."""
    (box,) = card.all("div", class_="groups")
    groups = [
        [*group.texts("h5", "p"), *(entry.text() for entry in group.all("dl")[0].elements())]
        for group in box.elements()
    ]
    return card.texts("h4"), groups, card.text()


def test_a_match_shows_what_both_activate_most(card):
    headings, groups, _ = reasons(card(examples.MATCH))
    assert headings == ["What both show most"] and [group[0] for group in groups] == ["nose", "eyes", "ears"]
    concept = ["a narrow bridge", "first 40.0%", "second 70.0%", "adds +0.220"]
    assert groups[0] == ["nose", "The group adds +0.620.", *concept]


def test_a_no_is_explained_by_what_is_missing(card):
    """Of nose .2 more is usual, of ears .1; eyes add what they always do."""
    typical = {"nose": 0.82, "eyes": 0.26, "ears": 0.05}
    pair = replace(examples.NO_MATCH, typical=typical, threshold_source="given by you")
    headings, groups, text = reasons(card(pair))
    assert headings == ["What is missing"] and [group[:2] for group in groups] == [
        ["nose", "The group adds +0.620, for an average pair of the same person +0.820."],
        ["ears", f"The group adds {MINUS}0.050, for an average pair of the same person +0.050."],
    ]
    assert "The threshold was given by you." in text and "the sum still not be enough" in text


def test_a_no_without_typical_pairs_is_explained_by_the_differences(card):
    headings, groups, text = reasons(card(examples.NO_MATCH))
    differ = "The group adds +0.620; the pictures differ by 30.0%."
    assert headings == ["Where they differ most"] and "the sum still not be enough" in text
    assert groups[0][:3] == ["nose", differ, "a <broad> bridge strongest in the first"] and "If " not in text


def test_interventions_say_what_becomes_of_the_verdict(card):
    pair = card(examples.PAIRS[0])
    assert "Were it otherwise in the second picture (now: similarity 0.830)" in pair.texts("h4")
    assert pair.all("ul")[0].texts("li") == [
        "a narrow bridge: 0.0% of its group, not 70.0%: similarity 0.700, then not the same person",
        f"{examples.HOSTILE}: 0.0% of its group, not 50.2%: similarity 0.829, still the same person",
    ]


@pytest.mark.parametrize(
    ("pair", "changes", "words"),
    [
        (
            examples.MATCH,
            {},
            "Without what a <broad> bridge (nose) adds, the similarity would be 0.43, not above the threshold: not the "
            "same person.",
        ),
        (
            examples.MATCH,
            {"threshold": 0.25},
            "Without what a <broad> bridge (nose) and a narrow bridge (nose) add, the similarity would be 0.21, not "
            "above the threshold: not the same person.",
        ),
        (
            examples.NO_MATCH,
            {"typical": {"nose": 0.82, "eyes": 0.26, "ears": 0.0}},
            "If nose added what it does for an average pair of the same person, the similarity would be 0.83, above "
            "the threshold: the same person.",
        ),
        (
            examples.NO_MATCH,
            {"typical": {"nose": 0.67, "eyes": 0.30}},
            "If nose and eyes added what they do for an average pair of the same person, the similarity would be 0.72, "
            "above the threshold: the same person.",
        ),
    ],
)
def test_what_would_change_the_verdict(card, pair, changes, words):
    assert card(replace(pair, **changes)).texts("p", class_="without") == [words]


def test_bars_are_shares_and_an_even_spread_is_marked(card):
    pair = card(examples.MATCH)
    assert pair.values("width", "rect", class_="first") == ["40.00%", "75.00%", "50.10%"]
    assert set(pair.values("x1", "line", class_="even")) == {"50.00%"}
    adds = [bar.values(name, "rect")[0] for bar in pair.all("svg", class_="square") for name in ("class", "width")]
    assert adds == ["plus", "50.00%", "plus", "13.64%", "minus", "9.09%"]


def test_every_concept_unfolds_down_to_the_sum(card):
    (rows,) = card(examples.NO_MATCH).tables().values()
    assert rows[0] == ["nose: a <broad> bridge", "60.0%", "30.0%", "+0.4000"]
    assert rows[-2:] == [["Bias, of no concept", "", "", f"{MINUS}0.2000"], ["Sum: the similarity", "", "", "+0.6300"]]
    *parts, total = (float(row[3].replace(MINUS, "-")) for row in rows)
    assert sum(parts) == pytest.approx(total)


def test_what_always_one_answer_reaches_stands_beside_the_accuracy(read):
    """`few` has 4 of 40 pairs of the same person; `single` has none, and is kept out of the average."""
    document = read(examples.verification_report)
    accuracy, rows = document.section("accuracy"), document.tables()["Accuracy by set of pairs"]
    header = ["Model", "both", "few", "single", "Average", "Alignment", "Time"]
    assert accuracy.all("thead")[0].texts("th") == header
    always = ["50.0% “different”", "90.0% “different”", "100.0% “different”", "70.0%"]
    assert rows[-1][:5] == ["Always the more frequent answer", *always]
    for row in rows[:-1]:
        both, few = (float(cell.split("%")[0]) for cell in row[1:3])
        assert few >= 90 or "less than always “different”" in row[2]
        assert float(row[4].rstrip("%")) == pytest.approx((both + few) / 2, abs=0.1)
    assert set(accuracy.all("div", class_="bars")[0].values("x1", "line")) == {"70.00%"}
    assert document.section("errors").texts("figcaption") == ["both ROC curves", "few ROC curves"]


def test_names_go_on_in_the_next_line_after_an_underscore(read):
    page = read(examples.verification_report)
    assert any(len(cell.all("wbr")) == 2 and cell.text() == "group_softmax_random" for cell in page.all("th"))


def test_where_all_pairs_are_of_one_kind_there_are_no_curves(read):
    document = read(examples.PAGES["one_kind"])
    identifiers = document.values("id", "section")
    assert identifiers[0] == "accuracy" and "errors" not in identifiers
    assert "all pairs are of one kind" in document.section("accuracy").text()


def test_the_threshold_and_the_typical_pair_of_a_report(read):
    cards = read(examples.verification_report).all("article")
    assert cards and all("learnt on the 40 pairs of both: the mean of ten folds" in card.text() for card in cards)

"""What is particular to the pages of faces."""

from dataclasses import replace

import pytest

from tests.pages import examples

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        (0.71, "The same person: similarity 0.83 is above the threshold 0.71"),
        (0.8299, "The same person: similarity 0.8300 is above the threshold 0.8299"),
        (0.95, "Not the same person: similarity 0.83 is 0.12 short of the threshold 0.95"),
        (0.83, "Not the same person: similarity 0.83 is not above the threshold 0.83, but equal to it"),
        (-0.5, f"The same person: similarity 0.83 is above the threshold {MINUS}0.50"),
    ],
)
def test_the_verdict_in_words(read, threshold, words):
    (card,) = read(examples.pair_explanations, replace(examples.MATCH, threshold=threshold)).all("article")
    assert card.texts("h3") == [words] and not card.all("p", class_="verdict")


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("kind", ["MATCH", "NO_MATCH"])
def test_gold_in_words(read, kind, same):
    document = read(examples.pair_explanations, replace(getattr(examples, kind), same=same))
    truth = "this is the same person" if same else "these are two people"
    evaluated = "✓ right" if same == (kind == "MATCH") else "✗ wrong"
    assert document.texts("p", class_="verdict") == [f"{evaluated}: {truth}"]


def groups(document) -> list[list[str]]:
    """Of each group its name and what is said of it, and of each concept its name and amounts."""
    (box,) = document.all("div", class_="groups")
    return [
        [*group.texts("h5", "p"), *(" ".join(entry.text().split()) for entry in group.all("dl")[0].elements())]
        for group in box.elements()
    ]


def test_a_match_shows_what_both_activate_most(read):
    document = read(examples.pair_explanations, examples.MATCH)
    assert document.texts("h4") == ["What both show most"]
    assert groups(document)[0] == [
        "nose", "The group adds +0.620.", "a narrow bridge", "first 40.0%", "second 70.0%", "adds +0.220",
    ]  # fmt: skip
    assert [group[0] for group in groups(document)] == ["nose", "eyes", "ears"]


def test_a_no_is_explained_by_what_is_missing(read):
    """Of nose .2 more is usual, of ears .1; eyes add what they always do."""
    typical = {"nose": 0.82, "eyes": 0.26, "ears": 0.05}
    pair = replace(examples.NO_MATCH, typical=typical, threshold_source="given by you")
    document = read(examples.pair_explanations, pair)
    assert document.texts("h4") == ["What is missing"]
    assert [group[:2] for group in groups(document)] == [
        ["nose", "The group adds +0.620, for an average pair of the same person +0.820."],
        ["ears", f"The group adds {MINUS}0.050, for an average pair of the same person +0.050."],
    ]
    text = document.all("article")[0].text()
    assert "The threshold was given by you." in text and "the sum still not be enough" in text


def test_a_no_without_typical_pairs_is_explained_by_the_differences(read):
    document = read(examples.pair_explanations, examples.NO_MATCH)
    assert document.texts("h4") == ["Where they differ most"]
    assert groups(document)[0][:3] == [
        "nose", "The group adds +0.620; the pictures differ by 30.0%.", "a <broad> bridge strongest in the first",
    ]  # fmt: skip
    assert "the sum still not be enough" in document.all("article")[0].text()


def test_interventions_say_what_becomes_of_the_verdict(read):
    document = read(examples.pair_explanations)
    lead = "Were it otherwise in the second picture (now: similarity 0.830)"
    assert lead in document.texts("h4")
    assert document.all("article")[0].all("ul")[0].texts("li") == [
        "a narrow bridge: 0.0% of its group, not 70.0%: similarity 0.700, then not the same person",
        f"{examples.HOSTILE}: 0.0% of its group, not 50.2%: similarity 0.829, still the same person",
    ]


def test_bars_are_shares_and_an_even_spread_is_marked(read):
    document = read(examples.pair_explanations, examples.MATCH)
    widths = [bar.attributes["width"] for bar in document.all("rect", class_="first")]
    assert widths == ["40.00%", "75.00%", "50.10%"]
    assert {tick.attributes["x1"] for tick in document.all("line", class_="even")} == {"50.00%"}
    adds = [
        (bar.attributes["class"], bar.attributes["width"])
        for bar in document.all("svg", class_="square")
        for bar in bar.all("rect")
    ]
    assert adds == [("plus", "50.00%"), ("plus", "13.64%"), ("minus", "9.09%")]


def test_every_concept_unfolds_down_to_the_sum(read):
    (rows,) = read(examples.pair_explanations, examples.NO_MATCH).tables().values()
    assert rows[0] == ["nose: a <broad> bridge", "60.0%", "30.0%", "+0.4000"]
    assert rows[-2:] == [["Bias, of no concept", "", "", f"{MINUS}0.2000"], ["Sum: the similarity", "", "", "+0.6300"]]
    numbers = [float(row[3].replace(MINUS, "-")) for row in rows]
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1])


def test_what_always_one_answer_reaches_stands_beside_the_accuracy(read):
    """`few` has 4 of 40 pairs of the same person; `single` has none, and is kept out of the average."""
    document = read(examples.verification_report)
    rows = document.tables()["Accuracy by set of pairs"]
    assert document.section("accuracy").all("thead")[0].texts("th") == [
        "Model", "both", "few", "single", "Average", "Alignment", "Time",
    ]  # fmt: skip
    assert rows[-1][:5] == [
        "Always the more frequent answer", "50.0% “different”", "90.0% “different”", "100.0% “different”", "70.0%",
    ]  # fmt: skip
    for row in rows[:-1]:
        assert float(row[2].split("%")[0]) >= 90 or "less than always “different”" in row[2]
        both, few = (float(cell.split("%")[0]) for cell in row[1:3])
        assert float(row[4].rstrip("%")) == pytest.approx((both + few) / 2, abs=0.1)
    ticks = document.section("accuracy").all("div", class_="bars")[0].all("line")
    assert {tick.attributes["x1"] for tick in ticks} == {"70.00%"}
    assert [figure.text() for figure in document.section("errors").all("figcaption")] == [
        "both ROC curves",
        "few ROC curves",
    ]


def test_names_go_on_in_the_next_line_after_an_underscore(read):
    page = read(examples.verification_report)
    assert any(len(cell.all("wbr")) == 2 and cell.text() == "group_softmax_random" for cell in page.all("th"))


def test_where_all_pairs_are_of_one_kind_there_are_no_curves(read):
    document = read(examples.PAGES["one_kind"])
    assert document.all("section")[0].attributes["id"] == "accuracy"
    assert "all pairs are of one kind" in document.section("accuracy").text()
    assert "errors" not in {section.attributes["id"] for section in document.all("section")}


def test_the_threshold_and_the_typical_pair_of_a_report(read):
    cards = read(examples.verification_report, count=12).all("article")
    assert all("learnt on the 40 pairs of both: the mean of ten folds" in card.text() for card in cards)

"""What is particular to the pages of rationales."""

import re
from dataclasses import replace

import pytest

from tests.pages import examples


def test_bars_are_on_the_scale_of_probabilities_and_show_what_chance_has(card):
    """The best of a picture does not fill the width; 4 categories and 5 rationales: 25% and 5% by chance."""
    method = card(examples.PICTURE).all("div", class_="method")[0]
    assert method.values("width", "rect") == ["75.00%", "61.00%", "12.20%", "0.04%"]
    assert method.values("x1", "line") == ["25.00%", "5.00%", "5.00%", "5.00%"]
    assert method.texts("span", class_="value") == ["75.0%", "61.0%", "12.2%", "0.04%"]


TIED = "a tie, which the likeliest pair decides"


@pytest.mark.parametrize(
    ("categories", "vote"),
    [
        ("cat cat dog", "says cat 2 of 3 pairs name it"),
        ("cat", "says cat"),
        ("cat dog owl", f"says cat each of the 3 pairs names another category: {TIED}"),
        ("cat dog cat dog", f"says cat 2 of 4 pairs, as many as dog: {TIED}"),
    ],
)
def test_votes_are_counted_and_ties_are_called_ties(card, categories, vote):
    pairs = [examples.Pair(category, "fur", 0.1) for category in categories.split()]
    picture = replace(examples.PICTURE, explanations=[replace(examples.SAID, pairs=pairs, voted="cat")])
    assert card(picture).texts("p", class_="vote") == [vote]


@pytest.mark.parametrize(
    ("removed", "category", "searched", "words"),
    [
        (["<q>"], "<hawk>", 0, ["Without <q> it would say <hawk>."]),
        (["fur", "a & b"], "dog", 1, ["Without fur and a & b it would say dog."]),
        (["a", "b", "c"], "dog", 2, ["Without a, b and c it would say dog."]),
        ([], None, 4, ["No set of up to 4 reasons changes what it says if it is left out."]),
        ([], None, 1, ["No reason changes what it says if that reason alone is left out."]),
        ([], None, 0, []),
    ],
)
def test_without_which_reasons_it_would_say_something_else(card, removed, category, searched, words):
    said = replace(examples.SAID, counterfactual=examples.Counterfactual(removed, category, searched))
    shown = card(replace(examples.PICTURE, explanations=[said, examples.OTHER]))
    assert shown.texts("p", class_="without") == words and shown.texts("q") == removed


def test_without_gold_nothing_is_called_right_or_wrong_and_the_likeliest_category_leads(read, card):
    main = read(examples.PAGES["rationale_explanations"]).all("main")[0]
    assert not re.search("right|wrong|✓|✗", main.text())
    assert set(main.values("class", "rect")) == {"plain"}
    together = "With all reasons together"
    assert main.texts("div", class_="marginal") == [f"{together} 75.0%"] * 2
    voted = "by the vote of its top pairs dog 1 of 3 pairs name it"
    assert main.texts("p", class_="vote") == ["says cat & co 2 of 3 pairs name it", "says cat & co", voted]
    assert main.texts("p", class_="without")[1] == "No set of up to 4 reasons changes the vote if it is left out."
    unknown = replace(examples.OTHER, outcome=None, likeliest=None, probability=None)
    shown = card(replace(examples.PICTURE, explanations=[unknown]))
    assert shown.texts("p", class_="vote") == ["says dog 1 of 3 pairs name it"]
    assert "all reasons together were not computed, which takes all 20 pairs" in shown.text()


def test_in_a_run_the_vote_leads_because_it_is_what_counts(card):
    method = card(examples.PICTURE).all("div", class_="method")[1]
    assert method.texts("p", class_="vote") == ["says dog 1 of 3 pairs name it"]
    assert method.texts("div", class_="marginal") == ["With all reasons together, rather cat & co 75.0%"]


def test_a_labelled_picture_says_so_and_judges_category_and_reason(card):
    said = card(examples.LABELLED)
    assert said.texts("h3") == ["labelled cat & co"]
    assert said.texts("p", class_="verdict") == ["✓ right category ✓ right reason", "✗ wrong category ✓ right reason"]
    assert said.texts("li")[:3] == [
        "✓ right category: cat & co because of ✓ right reason: <whiskers> 61.0%",
        "✓ right category: cat & co because of ✗ wrong reason: wings 12.2%",
        "✗ wrong category: dog because of ✗ wrong reason: fur 0.04%",
    ]
    assert said.values("class", "rect")[:4] == ["plain", "rr", "rw", "ww"]
    assert said.values("alt", "img")[0].endswith("ecor says cat & co. clip says dog (wrong).")
    (folded,) = card(replace(examples.LABELLED, gold_rationales=list("wxyz"))).all("details")
    assert folded.texts("summary") == ["4 right reasons"] and folded.texts("li") == list("wxyz")


def test_numbers_of_the_methods_are_those_of_the_answers(read):
    document = read(examples.rationale_report)
    assert document.texts("h1") == [examples.HOSTILE.rpartition("/")[2]], "the name of the data"
    rows = document.tables()["Outcomes and accuracy (RR + RW) of the methods"]
    assert [row[0] for row in rows] == ["first", "second", examples.HOSTILE] and rows[1][1:8] == rows[2][1:8]
    shares = [float(cell.rstrip("%")) for cell in rows[0][1:5]]
    assert abs(sum(shares) - 100) < 0.3 and rows[0][6:] == ["37.5%", "24", "3.2 s"] and rows[1][8] == "1 min 15 s"
    label = document.section("methods").values("aria-label", "svg")[0]
    assert label == f"first: RR {rows[0][1]}, RW {rows[0][2]}, WR {rows[0][3]}, WW {rows[0][4]}"


def test_pictures_that_methods_disagree_on_come_first_and_the_rest_are_folded(read):
    document = read(examples.rationale_report)
    disputed, agreed = document.section("disputed"), document.section("agreed")
    for card in disputed.all("article"):
        assert len(set(card.texts("strong")[:1] + [vote.split()[1] for vote in card.texts("p", class_="vote")])) > 1
    assert len(disputed.all("article")) + len(agreed.all("article")) == 24
    assert not [card for card in agreed.all("div", class_="cards") if card in agreed.elements()], "all are folded"

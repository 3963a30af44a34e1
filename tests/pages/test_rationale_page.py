"""What is particular to the pages of rationales."""

import re
from dataclasses import replace

from tests.pages import examples


def test_bars_are_on_the_scale_of_probabilities_and_show_what_chance_has(read):
    """The best of a picture does not fill the width; 4 categories and 5 rationales: 25% and 5% by chance."""
    method = read(examples.rationale_explanations).all("div", class_="method")[0]
    assert [bar.attributes["width"] for bar in method.all("rect")] == ["75.00%", "61.00%", "12.20%", "0.04%"]
    assert [tick.attributes["x1"] for tick in method.all("line")] == ["25.00%", "5.00%", "5.00%", "5.00%"]
    assert method.texts("span", class_="value") == ["75.0%", "61.0%", "12.2%", "0.04%"]


def votes(read, *categories: str) -> str:
    pairs = [examples.Pair(category, "fur", 0.1) for category in categories]
    said = replace(examples.SAID, pairs=pairs, category=categories[0])
    picture = replace(examples.PICTURE, explanations=[said])
    return read(examples.rationale_explanations, picture).texts("p", class_="vote")[0]


def test_votes_are_counted_and_ties_are_called_ties(read):
    assert votes(read, "cat", "cat", "dog") == "says cat 2 of 3 pairs name it"
    assert votes(read, "cat") == "says cat"
    tied = "a tie, which the likeliest pair decides"
    assert votes(read, "cat", "dog", "owl") == f"says cat each of the 3 pairs names another category: {tied}"
    assert votes(read, "cat", "dog", "cat", "dog") == f"says cat 2 of 4 pairs, as many as dog: {tied}"


def test_another_category_that_is_likelier_with_all_reasons_is_named(read):
    first, second = read(examples.rationale_explanations).all("div", class_="marginal")
    assert first.text() == "With all reasons together 75.0%"
    assert second.text() == "With all reasons together, rather cat & co 75.0%"


def test_a_labelled_picture_says_so_and_judges_category_and_reason(read):
    card = read(examples.rationale_explanations, examples.LABELLED).all("article")[0]
    assert card.texts("h3") == ["labelled cat & co"]
    assert card.texts("p", class_="verdict") == [
        "✓ right category ✓ right reason", "✗ wrong category ✓ right reason",
    ]  # fmt: skip
    assert [item.text() for item in card.all("li")][:3] == [
        "✓ right category: cat & co because of ✓ right reason: <whiskers> 61.0%",
        "✓ right category: cat & co because of ✗ wrong reason: wings 12.2%",
        "✗ wrong category: dog because of ✗ wrong reason: fur 0.04%",
    ]
    assert [bar.attributes["class"] for bar in card.all("rect")][:4] == ["plain", "rr", "rw", "ww"]
    assert card.all("img")[0].attributes["alt"].endswith("ecor says cat & co. clip says dog (wrong).")
    many = replace(examples.LABELLED, gold_rationales=list("wxyz"))
    (folded,) = read(examples.rationale_explanations, many).all("article")[0].all("details")
    assert folded.all("summary")[0].text() == "4 right reasons" and folded.texts("li") == list("wxyz")


def test_without_gold_nothing_is_called_right_or_wrong(read):
    main = read(examples.rationale_explanations).all("main")[0]
    assert not re.search("right|wrong|✓|✗", main.text())
    assert {bar.attributes["class"] for bar in main.all("rect")} == {"plain"}


def test_numbers_of_the_methods_are_those_of_the_answers(read):
    document = read(examples.rationale_report)
    rows = document.tables()["Outcomes and accuracy (RR + RW) of the methods"]
    assert [row[0] for row in rows] == ["first", "second", examples.HOSTILE] and rows[1][1:7] == rows[2][1:7]
    shares = [float(cell.rstrip("%")) for cell in rows[0][1:5]]
    assert abs(sum(shares) - 100) < 0.3 and rows[0][6:] == ["12", "3.2 s"] and rows[1][7] == "1 min 15 s"
    label = document.section("methods").all("svg")[0].attributes["aria-label"]
    assert label == f"first: RR {rows[0][1]}, RW {rows[0][2]}, WR {rows[0][3]}, WW {rows[0][4]}"


def test_pictures_that_methods_disagree_on_come_first_and_the_rest_are_folded(read):
    document = read(examples.rationale_report, count=24)
    disputed, agreed = document.section("disputed"), document.section("agreed")
    for card in disputed.all("article"):
        assert len(set(card.texts("strong")[:1] + [vote.split()[1] for vote in card.texts("p", class_="vote")])) > 1
    assert len(disputed.all("article")) + len(agreed.all("article")) == 24
    assert not [card for card in agreed.all("div", class_="cards") if card in agreed.elements()], "all are folded"


def test_the_title_names_the_data_and_what_is_left_out_is_said_once(read):
    document = read(examples.rationale_report, left_out=("89 classes",) * 2)
    assert document.texts("h1") == [examples.HOSTILE.rpartition("/")[2]]
    assert document.all("main")[0].text().count("89 classes") == 1

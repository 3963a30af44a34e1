"""What is particular to the pages of findings."""

from dataclasses import replace

import pytest

from tests.pages import examples
from tests.pages.examples import EFFUSION, WITHOUT, Evidence, Removed, WhatIf, concepts, film, sigmoid

MINUS = "\N{MINUS SIGN}"


def number(text: str) -> float:
    return float(text.replace(MINUS, "-"))


def test_the_answer_in_words(card):
    answer = card(film(replace(EFFUSION, gold=False)))
    assert answer.texts("h4") == ["Effusion: probability 0.83"]
    verdict = "Found: above the threshold 0.50 (logit 1.60). ✗ wrong: the label says no."
    assert answer.texts("p", class_="verdict") == [verdict]


def test_four_kinds_of_evidence_each_by_strength(card):
    (box,) = card(film()).all("div", class_="groups")
    assert [(kind.texts("h5")[0], kind.texts("li")) for kind in box.elements()] == [
        ("Seen, and speaks for it", ["a <blunt> angle pleura +1.000", "large heart heart +0.250"]),
        ("Seen, but speaks against it", [f"sharp & deep angle pleura {MINUS}0.200"]),
        ("Not seen, which speaks for it", ["clear lungs lungs +1.500"]),
        ("Not seen, which speaks against it", [f"meniscus sign pleura {MINUS}0.500"]),
    ]


def test_bars_of_evidence_and_of_its_sums_share_one_scale(card):
    """The scale is the largest of all of them: the 2.05 that the evidence adds up to."""
    values = [1.0, 0.25, 0.2, 1.5, 0.5, 0.45, 2.05, 0.0, 1.6]
    assert card(film()).values("width", "rect") == [f"{50 * value / 2.05:.2f}%" for value in values]


def test_what_is_shown_and_the_rest_add_up_to_the_logit(card):
    many = [Evidence(f"d{place}", "lungs", 0.3, 0.25, 1.0 + place) for place in range(9)]
    probability = sigmoid(-1.0 + sum(0.05 * (1 + place) for place in range(9)))
    (sums,) = card(film(replace(EFFUSION, evidence=many, base=-1.0, probability=probability))).all("dl", class_="sum")
    # The base, what is shown, the rest, and the logit.
    assert [number(text) for text in sums.texts("dd", class_="value")] == pytest.approx([-1.0, 1.5, 0.75, 1.25])
    assert sums.texts("dt")[2] == "The rest: 5 of 9 descriptors"


def test_every_descriptor_unfolds_down_to_the_sum(card):
    (rows,) = card(film()).tables().values()
    assert rows[1] == ["lungs: clear lungs", "0.200", "0.250", f"{MINUS}30.00", "+1.500"]
    assert rows[-1] == ["Sum: the logit of Effusion", "", "", "", "+1.600"]
    *parts, total = (number(row[-1]) for row in rows)
    assert sum(parts) == pytest.approx(total)


@pytest.mark.parametrize(
    ("descriptor", "start", "end", "logit", "seen", "becomes"),
    [
        ("a <blunt> angle", 0.3, 0.25, 0.6, "not seen (cosine 0.250, the typical one, not 0.300)", "0.65."),
        ("large heart", 0.26, 0.25 + 3e-8, 1.35, "not seen (cosine 0.250, the typical one, not 0.260)", "0.79."),
        ("meniscus sign", 0.2, 0.3, 2.6, "seen (cosine 0.300, not 0.200)", "0.93."),
        (
            "clear lungs",
            0.2,
            0.3,
            -1.4,
            "seen (cosine 0.300, not 0.200)",
            "0.20, and Effusion would no longer be found.",
        ),
    ],
)
def test_what_ifs_in_words(card, descriptor, start, end, logit, seen, becomes):
    shown = card(film(what_ifs={"Effusion": [WhatIf(descriptor, start, end, sigmoid(logit))]}))
    assert shown.all("ul", class_="notes")[0].texts("li") == [f"Were {descriptor} {seen}: 0.83 → to {becomes}"]


def test_without_which_descriptors_the_answer_would_be_another(card):
    """A label is found or not found; a class gives way to another class; many descriptors unfold."""
    said = card(film(replace(EFFUSION, counterfactual=WITHOUT))).texts("p", class_="without")
    names = "Were clear lungs (lungs) and a <blunt> angle (pleura) at their typical cosines,"
    assert said == [f"{names} Effusion would no longer be found: probability 0.29."]

    no = replace(EFFUSION, base=-2.25, probability=sigmoid(-0.2))
    found = concepts.Counterfactual([Removed("meniscus sign", "pleura")], sigmoid(0.3))
    said = card(film(replace(no, counterfactual=found))).texts("p", class_="without")
    one = "Were meniscus sign (pleura) at its typical cosine,"
    assert said == [f"{one} Effusion would then be found: probability 0.57."]

    of_class = replace(EFFUSION, probability=0.5, rival="Mass", rival_probability=0.5 * 2.718281828**-1.6)
    found = replace(WITHOUT, category="<Mass>")
    said = card(film(replace(of_class, counterfactual=found))).texts("p", class_="without")
    assert said == [f"{names} it would say <Mass>."]

    many = [Evidence(f"<d{place}>", "lungs", 0.3, 0.25, 4.0) for place in range(9)]
    found = concepts.Counterfactual([Removed(own.descriptor, "lungs") for own in many], sigmoid(-0.1))
    answer = replace(EFFUSION, evidence=many, base=-0.1, probability=sigmoid(1.7), counterfactual=found)
    (folded,) = card(film(answer)).all("div", class_="without")
    assert folded.texts("p")[0].startswith("Were these 9 descriptors at their typical cosines, Effusion would no")
    assert folded.texts("q") == [own.descriptor for own in many]


def test_what_was_reported_and_what_of_it_the_model_sees(card):
    reported = ("A <blunt> angle", "clear lungs", "hiatal <hernia>")
    shown = card(film(reported=reported, report_source="the radiologist's report"))
    assert "From the radiologist's report. Of 3 the model has 2 as descriptors, and sees 1." in shown.text()
    assert shown.all("ul", class_="notes")[0].texts("li") == [
        "A <blunt> angle ✓ seen by the model",
        "clear lungs ✗ not seen by the model",
        "hiatal <hernia> not among the model's descriptors",
    ]


def test_of_many_findings_those_that_say_no_are_folded(card):
    no = replace(EFFUSION, base=-3.65, probability=sigmoid(-1.6))
    kinds = {"found": EFFUSION, "B": no, "C": no, "missed": replace(no, gold=True), "rightly": replace(no, gold=False)}
    shown = card(film(*(replace(answer, label=name) for name, answer in kinds.items())))
    folded = [answer.texts("h4")[0].split(":")[0] for answer in shown.all("details", class_="answer")]
    assert folded == ["B", "C", "rightly"]


@pytest.mark.parametrize("page", ["film_explanations", "concepts_report"])
def test_the_page_says_that_it_is_no_medical_device(read, page):
    notice = read(examples.PAGES[page]).all("section")[0]
    assert notice.texts("h2") == ["Not a medical device"] and "may be used to diagnose" in notice.text()


def test_a_report_says_that_any_picture_gets_an_answer(read):
    notes = read(examples.concepts_report).section("notes").text()
    assert "no chest X-ray gets one all the same" in notes


@pytest.mark.parametrize(("page", "words"), [("concepts_report", " never says yes"), ("concepts_report_of_labels", "")])
def test_a_method_that_never_says_yes_is_marked(read, page, words):
    captions = "Scores of the methods on Effusion. Precision, recall and F1 ("
    tables = read(examples.PAGES[page]).tables().items()
    (rows,) = (rows for caption, rows in tables if caption.startswith(captions))
    assert [row[0] for row in rows] == ["first", "random_descriptors", f"{examples.HOSTILE}{words}"]


def test_scores_differences_and_agreement_have_their_intervals(read):
    document = read(examples.concepts_report)
    tables = document.tables()
    assert tables["AUROC of one method less that of another"][0][0] == "first - random_descriptors"
    assert tables["The same as texts, against those of the reports"][0][0] == "ROUGE-L"
    sets = tables["Descriptors given as reasons, against those of the reports: sets, whatever the order"]
    assert [row[0] for row in sets] == ["equal", "alike"] and " to " in sets[0][1]
    assert "Means over 23 images. 1 more have nothing in the reports" in document.section("agreement").text()
    (scores,) = (rows for caption, rows in tables.items() if caption.startswith("Scores of the methods"))
    assert scores[0][-1] == "24 12 with it" and all(" to " in cell for cell in scores[0][1:7])


def test_labels_are_not_called_reports(read):
    agreement = read(examples.PAGES["concepts_report_of_labels"]).section("agreement")
    assert agreement.texts("h2") == ["Do the explanations say what the labels say?"]
    assert "report" not in agreement.text()


def test_several_findings_have_a_table_of_areas_and_unfold(read):
    scores = read(examples.PAGES["concepts_report_of_several"]).section("scores")
    findings = ["Effusion", "Edema <&>", "mean"]
    assert [row[0] for row in scores.tables()["AUROC by finding"]] == scores.texts("summary") == findings
    assert "AUROC of one method less that of another, mean over the findings" in scores.tables()


def test_weights_stand_by_strength_on_one_scale(read):
    weights = read(examples.concepts_report).section("weights")
    (rows,) = weights.tables().values()
    values = [abs(number(row[1])) for row in rows]
    assert values == sorted(values, reverse=True) and len(rows) == 5
    assert weights.values("width", "rect")[0] == "50.00%"


def test_descriptors_of_reports(read):
    document = read(examples.descriptor_table)
    assert document.values("id", "section") == ["lungs", "other", "notes"]
    other = document.section("other")
    (rows,) = other.tables().values()
    assert "70 descriptors; the 60 most frequent." in other.text() and len(rows) == 60
    assert rows[0][1:] == ["4", "1", "2", "1"]
    assert other.all("svg")[0].values("width", "rect") == ["25.00%", "25.00%", "50.00%"]
    assert "not a medical device" in document.section("notes").text()

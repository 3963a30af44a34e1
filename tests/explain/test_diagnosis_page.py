"""The report of a diagnosis run and the page of studies, read back; what every page has to be."""

import dataclasses
import re
from itertools import pairwise

import pytest
from PIL import Image

from ecor_jax.explain.diagnosis_page import write_diagnosis
from ecor_jax.explain.diagnosis_records import (
    Agreement,
    DiagnosisReport,
    DiagnosisRow,
    DiagnosisScore,
    Figure,
    WeightRow,
)
from ecor_jax.explain.records import Reliability, ReliabilityBin
from ecor_jax.explain.study_page import write_studies
from ecor_jax.explain.study_records import Diagnosis, Evidence, ExplainedStudy, WhatIf, sigmoid

DASH = "\N{EN DASH}none"
MINUS = "\N{MINUS SIGN}"


def study(name: str, findings: int) -> ExplainedStudy:
    evidence = [
        Evidence("a <blunt> angle", "pleura", 0.30, 0.25, 20.0),
        Evidence("clear lungs", "lungs", 0.20, 0.25, -30.0),
        Evidence("sharp angle", "pleura", 0.30, 0.25, -4.0),
    ]
    diagnoses = [
        Diagnosis(f"Effusion {place}", sigmoid(2.3 - 4 * place), -4.0 * place, evidence, gold=place == 0)
        for place in range(findings)
    ]
    asked = {"Effusion 0": [WhatIf("clear lungs", 0.2, 0.25, sigmoid(0.8))]}
    image = Image.new("RGB", (20, 24), "red")
    return ExplainedStudy(name, image, diagnoses, asked, ["a <blunt> angle", "x"], "the <labels>")


SCORES = {
    "Effusion": DiagnosisScore(
        300,
        0.8,
        0.78,
        0.75,
        0.765,
        0.8406,
        0.1,
        accuracy_interval=(0.75, 0.85),
        precision_interval=(0.7, 0.8),
        recall_interval=(0.72, 0.79),
        f1_interval=(0.7, 0.82),
        auroc_interval=(0.79, 0.88),
        brier_interval=(0.08, 0.12),
        positives=90,
    )
}
"""As a run on one finding has them."""


def example() -> DiagnosisReport:
    """Every part, with texts that would break it if they were not escaped."""
    roc = [(0.0, 0.0), (0.1, 0.6), (0.2, 0.6), (1.0, 1.0)]
    bins = [ReliabilityBin(0.95, 0.9, 1234), ReliabilityBin(0.6, 0.5, 7), ReliabilityBin(0.2, 0.1, 0)]
    return DiagnosisReport(
        title="Lungs <&> words",
        intro="What is there?",
        dataset="NIH",
        facts={"Patients": "<10>"},
        rows=[
            DiagnosisRow("bottleneck", SCORES),
            DiagnosisRow("black <box>", {"Effusion": DiagnosisScore(300, 0.9, auroc=0.9)}),
            DiagnosisRow("one class", {"Effusion": DiagnosisScore(4, 1.0, auroc=float("nan"))}),
        ],
        average="binary",
        differences={
            "bottleneck - black <box>": Figure(-0.0594, (-0.07, 0.01)),
            "bottleneck - one class": Figure(None),
        },
        roc={"Effusion": {"bottleneck": roc, "new": roc}},
        calibration={"bottleneck, <Effusion>": Reliability(bins, 0.057)},
        studies=[study("s<1>", 1), study("s2", 5)],
        weights=[
            WeightRow("clear lungs", "lungs", {"Effusion": -30.0}),
            WeightRow("a <blunt> angle", "pleura", {"Effusion": 45.5}),
            WeightRow("diverged", "other", {"Effusion": float("nan")}),
        ],
        kept_accuracy={
            "bottleneck": {5: Figure(0.7, (0.6, 0.8)), 1: Figure(0.55)},
            "random <words>": {5: Figure(0.6), 10: Figure(0.65)},
        },
        kept_auroc={"bottleneck": {1: Figure(0.6125), 5: Figure(0.75, (0.7, 0.8)), 9: Figure(None)}},
        agreement=Agreement(
            "reports",
            1200,
            3,
            {"ROUGE-L": Figure(0.3125, (0.3, 0.325)), "METEOR <exact>": Figure(float("nan"))},
            {
                "equal": {"Precision": Figure(0.5, (0.4, 0.6)), "Recall": Figure(0.25)},
                "alike": {"Precision": Figure(0.75), "Recall": Figure(0.5)},
            },
        ),
        loss={"bottleneck": [(0, 4.0), (50, 2.5)]},
        commands=["python -m launch.explain --images a&b"],
        notes=["Mind the <gap>."],
    )


@pytest.fixture
def read(tmp_path, parse):
    return lambda report: parse(write_diagnosis(report, tmp_path).read_text("utf-8"))


def several() -> DiagnosisReport:
    """Two findings, the second of one method only, and more weights than are shown at once."""
    full = example()
    rows = [
        DiagnosisRow("bottleneck", {**SCORES, "Ede<ma": dataclasses.replace(SCORES["Effusion"], auroc=0.6)}),
        DiagnosisRow("black box", SCORES),
    ]
    weights = [WeightRow(f"d{place}", "lungs", {"Effusion": place - 12.0, "Ede<ma": 0.5}) for place in range(25)]
    return dataclasses.replace(full, rows=rows, weights=weights)


@pytest.fixture(scope="module")
def report(tmp_path_factory, parse):
    page = write_diagnosis(example(), tmp_path_factory.mktemp("diagnosis") / "new" / "report")
    return parse(page.read_text("utf-8"))


@pytest.fixture(scope="module", params=["report", "several", "studies"])
def document(request, tmp_path_factory, parse):
    if request.param == "report":
        return request.getfixturevalue("report")
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "several":
        return parse(write_diagnosis(several(), folder).read_text("utf-8"))
    return parse(write_studies(example().studies, folder, "Two <studies>", "").read_text("utf-8"))


def rows_of(table) -> list[list[str]]:
    return [[cell.text() for cell in row.children] for row in table.all("tbody")[0].children]


def tables(document) -> dict[str, list[list[str]]]:
    return {one.all("caption")[0].text(): rows_of(one) for one in document.all("table")}


def section(document, identifier: str):
    (found,) = (one for one in document.all("section") if one.attributes["id"] == identifier)
    return found


def test_scores_of_one_finding_with_their_intervals(report):
    part = section(report, "scores")
    table, _ = part.all("table")
    assert table.all("caption")[0].text() == (
        "Scores of the methods on Effusion. Precision, recall and F1 (binary): of the finding itself."
    )
    assert [one.text() for one in table.all("thead")[0].all("th")] == [
        "Method", "Accuracy", "Precision", "Recall", "F1", "AUROC", "Brier", "Studies",
    ]  # fmt: skip
    assert rows_of(table) == [
        ["bottleneck", "80.0% 75.0% to 85.0%", "78.0% 70.0% to 80.0%", "75.0% 72.0% to 79.0%", "76.5% 70.0% to 82.0%",
         "0.841 0.790 to 0.880", "0.100 0.080 to 0.120", "300 90 with it"],
        ["black <box>", "90.0%", DASH, DASH, DASH, "0.900", DASH, "300"],
        ["one class", "100.0%", DASH, DASH, DASH, DASH, DASH, "4"],
    ]  # fmt: skip
    rows = part.all("div", class_="row")
    assert [[one.text() for one in row.all("p")] for row in rows] == [["bottleneck", "0.841"], ["black <box>", "0.900"]]
    assert [(one.attributes["x1"], one.attributes["x2"]) for one in rows[0].all("line", class_="span")] == [
        ("79.00%", "88.00%")
    ]
    assert not rows[1].all("line", class_="span")
    assert "95% intervals" in part.text() and "overlap" not in part.text()


def test_how_far_methods_differ(report, read):
    assert tables(section(report, "scores"))["AUROC of one method less that of another"] == [
        ["bottleneck - black <box>", f"{MINUS}0.059 {MINUS}0.070 to +0.010"], ["bottleneck - one class", DASH],
    ]  # fmt: skip
    assert "AUROC of one method less that of another, mean over the findings" in tables(read(several()))


@pytest.mark.parametrize(
    ("average", "words"),
    [("macro", "plain mean of those of its presence and its absence"), ("weighted", "by how many studies each has")],
)
def test_the_table_says_which_average_it_has(read, average, words):
    captions = tables(read(dataclasses.replace(example(), average=average)))
    assert any(f"F1 ({average}): the " in caption and words in caption for caption in captions)


def test_several_findings_have_a_table_of_areas_and_unfold(read):
    part = section(read(several()), "scores")
    assert tables(part)["AUROC by finding"] == [
        ["Effusion", "0.841 0.790 to 0.880", "0.841 0.790 to 0.880"],
        ["Ede<ma", "0.600 0.790 to 0.880", DASH],
    ]
    assert [one.text() for one in part.all("summary")] == ["Effusion", "Ede<ma"]
    assert [len(rows) for caption, rows in tables(part).items() if caption.startswith("Scores")] == [2, 1]


def test_error_curves(report):
    part = section(report, "errors")
    assert tables(part) == {
        "Sensitivity on Effusion, at a false positive rate of at most so much": [
            ["bottleneck", "0.0%", "60.0%", "60.0%", "60.0%"], ["new", "0.0%", "60.0%", "60.0%", "60.0%"],
        ]
    }  # fmt: skip
    (chart,) = part.all("svg", class_="chart")
    assert chart.attributes["aria-label"] == "ROC curves on Effusion: bottleneck AUROC 0.841; new"
    assert [one.text() for one in part.all("ul", class_="keys")[0].all("li")] == ["bottleneck AUROC 0.841", "new"]


def test_calibration(report):
    part = section(report, "calibration")
    assert rows_of(part.all("table")[0]) == [["95.0%", "90.0%", "1,234"], ["60.0%", "50.0%", "7"]]
    assert [one.text() for one in part.all("figcaption")] == ["bottleneck, <Effusion> ECE 5.7%"]


def test_weights_by_strength_with_bars(report):
    part = section(report, "weights")
    assert tables(part) == {
        "Weights by descriptor": [
            ["pleura: a <blunt> angle", "+45.50"], ["lungs: clear lungs", f"{MINUS}30.00"], ["other: diverged", DASH],
        ]
    }  # fmt: skip
    assert [(one.attributes["class"], one.attributes["width"]) for one in part.all("rect")] == [
        ("plus", "50.00%"), ("minus", "32.97%"),
    ]  # fmt: skip


def test_many_weights_unfold(read):
    part = section(read(several()), "weights")
    top, every = part.all("table")
    assert top.all("caption")[0].text() == "The 20 descriptors with the largest weights"
    assert (len(rows_of(top)), len(rows_of(every))) == (20, 25)
    assert rows_of(every)[:3] == [
        ["lungs: d0", f"{MINUS}12.00", "+0.50"], ["lungs: d24", "+12.00", "+0.50"],
        ["lungs: d1", f"{MINUS}11.00", "+0.50"],
    ]  # fmt: skip
    assert rows_of(every)[-1] == ["lungs: d12", "0.00", "+0.50"]
    assert [one.text() for one in part.all("summary")] == ["All 25 descriptors"]
    assert top.all("rect") and not every.all("rect")


def test_concepts_kept(report):
    assert tables(section(report, "kept")) == {
        "Accuracy by concepts kept": [
            ["1", "55.0%", DASH], ["5", "70.0% 60.0% to 80.0%", "60.0%"], ["10", DASH, "65.0%"],
        ],
        "AUROC by concepts kept": [["1", "0.613"], ["5", "0.750 0.700 to 0.800"], ["9", DASH]],
    }  # fmt: skip
    charts = section(report, "kept").all("svg", class_="chart")
    assert charts[0].attributes["aria-label"] == "Accuracy over the number of concepts kept: bottleneck, random <words>"
    points = charts[0].all("polyline")[0].attributes["points"].split()
    assert [float(one.split(",")[0]) for one in points] == sorted(float(one.split(",")[0]) for one in points)


def test_agreement_of_explanations_with_reports(report):
    part = section(report, "agreement")
    assert tables(part) == {
        "Descriptors given as reasons, against those of the reports: sets, whatever the order": [
            ["equal", "0.500 0.400 to 0.600", "0.250"], ["alike", "0.750", "0.500"],
        ],
        "The same as texts, against those of the reports": [
            ["ROUGE-L", "0.312 0.300 to 0.325"], ["METEOR <exact>", DASH],
        ],
    }  # fmt: skip
    assert "Means over 1,200 studies. 3 more have nothing in the reports to compare with" in part.text()
    assert "label" not in part.text()


def test_agreement_with_labels_does_not_speak_of_reports(read):
    agreement = Agreement("labels", 5, 0, {"ROUGE-L": Figure(0.5)}, {})
    part = section(read(DiagnosisReport("x", agreement=agreement)), "agreement")
    assert part.all("h2")[0].text() == "Do the explanations say what the labels say?"
    assert "report" not in part.text() and "left out" not in part.text()


def test_studies_training_commands_notes_and_facts(report):
    assert [one.all("h3")[0].text() for one in report.all("article")] == ["s<1>", "s2"]
    assert "bottleneck, loss from 4 to 2.5 at step 50" in [one.text() for one in report.all("figcaption")]
    assert [one.text() for one in report.all("pre")] == ["python -m launch.explain --images a&b"]
    assert report.all("ul", class_="notes")[0].all("li")[0].text() == "Mind the <gap>."
    assert [one.text() for one in report.all("header")[0].all("dd")] == ["<10>"]
    assert report.all("title")[0].text() == report.all("h1")[0].text() == "Lungs <&> words"


def test_every_page_says_that_it_is_no_medical_device(document):
    notice = document.all("main")[0].all("section")[0]
    assert notice.all("h2")[0].text() == "Not a medical device" and "may be used to diagnose" in notice.text()
    assert document.all("p", class_="intro")[0].text().endswith("Research software, not a medical device.")


def test_the_notice_stands_even_on_an_empty_report(read):
    empty = read(DiagnosisReport(title="Empty"))
    assert [one.attributes["id"] for one in empty.all("section")] == ["notice"]


@pytest.mark.parametrize("name", [one.name for one in dataclasses.fields(DiagnosisReport) if one.name != "title"])
def test_any_part_may_be_missing_or_alone(read, name):
    full, empty = example(), DiagnosisReport(title="Empty")
    for shown in (
        dataclasses.replace(full, **{name: getattr(empty, name)}),
        dataclasses.replace(empty, **{name: getattr(full, name)}),
    ):
        document = read(shown)
        linked = {one.attributes["href"] for one in document.all("nav")[0].all("a")} if document.all("nav") else set()
        sections = {f"#{one.attributes['id']}" for one in document.all("section")}
        assert linked == (sections if len(sections) > 1 else set())
        for one in document.all("section")[1:]:
            assert len(one.children) > 2, "a section has a heading, a lead and something to show"


def test_what_is_not_a_number_is_not_drawn(read):
    nothing = float("nan")
    shown = DiagnosisReport(
        "x",
        kept_accuracy={"a": {1: Figure(nothing)}},
        kept_auroc={"a": {}},
        loss={"a": [(1, nothing)]},
        roc={"Effusion": {"a": []}},
    )
    assert [one.attributes["id"] for one in read(shown).all("section")] == ["notice"]


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(document):
    for element in document.walk():
        for name, value in element.attributes.items():
            assert not name.startswith("on") and name != "style"
            if name in ("src", "href", "srcset", "data", "action", "poster", "cite"):
                assert re.match(r"images/\d{4}\.(png|jpg)$|#[a-z-]+$", value), value
    names = {element.name for element in document.walk()}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert not re.search(r"url\(|@import|https?:|//", document.all("style")[0].text())
    policies = [one.attributes["content"] for one in document.all("meta") if "http-equiv" in one.attributes]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:"]


def test_language_landmarks_and_references(document):
    assert document.all("html")[0].attributes["lang"] == "en"
    for landmark in ("header", "nav", "main", "footer"):
        assert len(document.all(landmark)) == 1, landmark
    identifiers = [one.attributes["id"] for one in document.walk() if "id" in one.attributes]
    assert len(identifiers) == len(set(identifiers))
    for one in document.walk():
        if "aria-labelledby" in one.attributes:
            assert one.attributes["aria-labelledby"] in identifiers
        if one.name == "a":
            assert one.attributes["href"].removeprefix("#") in identifiers
            assert one.text()
    for svg in document.all("svg"):
        assert svg.attributes.get("aria-hidden") == "true" or svg.attributes["aria-label"]
    assert all(one.attributes["alt"] for one in document.all("img"))


def test_headings_go_down_one_level_at_a_time(document):
    headings = [one for one in document.walk() if re.fullmatch("h[1-6]", one.name)]
    levels = [int(one.name[1]) for one in headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(one.text() for one in headings)


def test_tables_have_captions_and_scoped_headers(document):
    assert document.all("table")
    for table in document.all("table"):
        assert table.children[0].name == "caption" and table.all("caption")[0].text()
        columns = table.all("thead")[0].all("th")
        assert all(one.attributes["scope"] == "col" and one.text() for one in columns)
        for row in table.all("tbody")[0].all("tr"):
            assert len(row.children) == len(columns)
            assert row.children[0].name == "th" and row.children[0].attributes["scope"] == "row"
            assert all(cell.name == "td" for cell in row.children[1:])


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of #rrggbb."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_the_notice_and_the_bars_stand_out(report, scheme):
    """WCAG 2.2: texts need 4.5:1 (1.4.3), graphics 3:1 (1.4.11); bars lie on their track or on the card."""
    style = report.all("style")[0].text()
    palettes = [dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{6});", one)) for one in re.findall(r":root\{(.*?)\}", style)]
    colours = palettes[scheme]
    used = dict(re.findall(r"(#notice h2|#notice \.lead|\.span|\.interval line)\{[^}]*?:var\(--([a-z]+)\)", style))
    assert set(used) == {"#notice h2", "#notice .lead", ".span", ".interval line"}
    pairs = [(used["#notice h2"], "card", 4.5), (used["#notice .lead"], "card", 4.5), ("quiet", "card", 4.5)]
    pairs += [(used[".span"], "card", 3.0), (used[".interval line"], "card", 3.0)]
    plus, minus = (re.findall(rf"\.{sign}\{{fill:var\(--([a-z]+)\)", style)[0] for sign in ("plus", "minus"))
    pairs += [(name, back, 3.0) for name in (plus, minus) for back in ("card", "inset")]
    for front, back, least in pairs:
        dark, light = sorted((luminance(colours[front]), luminance(colours[back])))
        assert (light + 0.05) / (dark + 0.05) >= least, (front, back)
    assert set(re.findall(r"var\(--([a-z-]+)\)", style)) <= set(colours)

"""The report of a verification run and the page of pairs, read back; what every page has to be stands here once."""

import dataclasses
import re
from itertools import pairwise

import pytest
from PIL import Image

from ecor_jax.explain.pair_page import write_pairs
from ecor_jax.explain.pair_records import Concept, ExplainedPair, Side
from ecor_jax.explain.verification_page import write_verification_report
from ecor_jax.explain.verification_records import BenchmarkScore, TarScore, VerificationReport, VerificationRow

DASH = "\N{EN DASH}none"


def pair(similarity: float, same: bool | None) -> ExplainedPair:
    sides = (Side(name, Image.new("RGB", (20, 24), colour)) for name, colour in (("<a>.png", "red"), ("b", "blue")))
    given = [Concept("nose", "a <broad> bridge", 0.6, 0.3, 0.4), Concept("nose", "narrow", 0.4, 0.7, similarity - 0.4)]
    return ExplainedPair(*sides, similarity, 0.71, given, same)


def example() -> VerificationReport:
    """Every part, with texts that would break it if they were not escaped."""
    tars = [TarScore(0.1, 0.5), TarScore(0.001, 0.25, resolved=False)]
    roc = [(0.0, 0.0), (0.0, 0.25), (0.02, 0.5), (1.0, 1.0)]
    return VerificationReport(
        title="Faces <&> words",
        intro="Who is who?",
        dataset="ORL",
        facts={"People": "<10>"},
        rows=[
            VerificationRow("CLIP", {"ORL": BenchmarkScore(0.6, 0.65, tars), "LFW": BenchmarkScore(0.75)}, None, 3.21),
            VerificationRow(
                "Base & <adapter>",
                {
                    "ORL": BenchmarkScore(0.8, 0.9125, [TarScore(0.1, 0.75)]),
                    "LFW": BenchmarkScore(0.7),
                    "small": BenchmarkScore(1.0, one_kind=True),
                },
                0.31,
                75.0,
            ),
            VerificationRow("Encoder", {"LFW": BenchmarkScore(0.9)}, 0.12),
        ],
        roc={"ORL": {"CLIP": roc, "Base & <adapter>": roc}},
        kept={"Base": [(1, 0.55), (5, 0.7)], "Random <words>": [(5, 0.6), (10, 0.65)]},
        pairs=[pair(0.83, True), pair(0.41, None)],
        loss={"Base": [(0, 4.0), (50, 2.5)]},
        commands=["python -m launch.explain --pair a&b"],
        notes=["Mind the <gap>."],
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory, parse):
    page = write_verification_report(example(), tmp_path_factory.mktemp("verification") / "new" / "report")
    return parse(page.read_text("utf-8"))


@pytest.fixture(scope="module", params=["report", "pairs"])
def document(request, tmp_path_factory, parse):
    if request.param == "report":
        return request.getfixturevalue("report")
    return parse(write_pairs(example().pairs, tmp_path_factory.mktemp("pairs"), "Two <pairs>", "").read_text("utf-8"))


def rows_of(table) -> list[list[str]]:
    return [[cell.text() for cell in row.children] for row in table.all("tbody")[0].children]


def tables(document) -> dict[str, list[list[str]]]:
    return {one.all("caption")[0].text(): rows_of(one) for one in document.all("table")}


def test_accuracies_average_alignment_and_time(report):
    """The average leaves out the set of one kind, and rows that lack a benchmark of it."""
    (table,) = (one for one in report.all("table") if one.all("caption")[0].text().startswith("Accuracy by bench"))
    assert [one.text() for one in table.all("thead")[0].all("th")] == [
        "Model", "ORL", "LFW", "small (one kind)", "Average", "Alignment", "Time",
    ]  # fmt: skip
    assert rows_of(table) == [
        ["CLIP", "60.0%", "75.0%", DASH, "67.5%", DASH, "3.2 s"],
        ["Base & <adapter>", "80.0%", "70.0%", "100.0%", "75.0%", "31.0%", "1 min 15 s"],
        ["Encoder", DASH, "90.0%", DASH, DASH, "12.0%", DASH],
    ]
    assert [one.text() for one in table.all("strong")] == ["80.0%", "100.0%", "75.0%", "31.0%", "90.0%"]
    bars = report.all("div", class_="row")
    assert [one.all("p")[1].text() for one in bars] == ["67.5%", "75.0%", DASH]
    assert [one.attributes["width"] for row in bars for one in row.all("rect")] == ["67.50%", "75.00%"]


def test_areas_and_tars(report):
    assert tables(report)["Area under the curve, and TAR at a FAR of so much, on ORL"] == [
        ["CLIP", "0.650", "50.0%", "25.0%at FAR 0"],
        ["Base & <adapter>", "0.912", "75.0%", DASH],
    ]
    assert tables(report)["TAR of the curves on ORL"] == [
        ["CLIP", "25.0%", "50.0%"], ["Base & <adapter>", "25.0%", "50.0%"],
    ]  # fmt: skip
    section = next(one for one in report.all("section") if one.attributes["id"] == "errors")
    assert "too few different pairs" in section.text()
    (chart,) = section.all("svg", class_="chart")
    assert chart.attributes["aria-label"] == "ROC curves on ORL: CLIP AUC 0.650; Base & <adapter> AUC 0.912"
    assert len(chart.all("polyline", class_="several")) == 2
    assert [one.text() for one in section.all("ul")[0].all("li")] == ["CLIP AUC 0.650", "Base & <adapter> AUC 0.912"]


def test_concepts_kept(report):
    assert tables(report)["Accuracy by concepts kept"] == [
        ["1", "55.0%", DASH], ["5", "70.0%", "60.0%"], ["10", DASH, "65.0%"],
    ]  # fmt: skip


def test_pairs_training_commands_notes_and_facts(report):
    assert [one.all("h3")[0].text() for one in report.all("article")] == [
        "The same person: similarity 0.83 is above the threshold 0.71",
        "Not the same person: similarity 0.41 is below the threshold 0.71",
    ]
    assert "Base, loss from 4 to 2.5 at step 50" in [one.text() for one in report.all("figcaption")]
    assert [one.text() for one in report.all("pre")] == ["python -m launch.explain --pair a&b"]
    assert report.all("ul", class_="notes")[0].all("li")[0].text() == "Mind the <gap>."
    assert [one.text() for one in report.all("header")[0].all("dd")] == ["<10>"]
    assert report.all("title")[0].text() == report.all("h1")[0].text() == "Faces <&> words"


def test_where_all_pairs_are_of_one_kind_the_page_says_so(tmp_path, parse):
    rows = [VerificationRow("CLIP", {"small": BenchmarkScore(1.0, one_kind=True)})]
    document = parse(
        write_verification_report(VerificationReport("x", rows=rows, roc={"small": {}}), tmp_path).read_text("utf-8")
    )
    accuracy, errors = document.all("section")
    assert "all pairs are of one kind" in accuracy.text()
    assert "No benchmark has both same and different pairs" in errors.text() and not errors.all("svg")
    assert rows_of(accuracy.all("table")[0]) == [["CLIP", "100.0%"]]


@pytest.mark.parametrize("part", [one.name for one in dataclasses.fields(VerificationReport) if one.name != "title"])
def test_any_part_may_be_missing_or_alone(tmp_path, parse, part):
    full, empty = example(), VerificationReport(title="Empty")
    for shown in (
        dataclasses.replace(full, **{part: getattr(empty, part)}),
        dataclasses.replace(empty, **{part: getattr(full, part)}),
    ):
        document = parse(write_verification_report(shown, tmp_path).read_text("utf-8"))
        linked = {one.attributes["href"] for one in document.all("nav")[0].all("a")} if document.all("nav") else set()
        sections = {f"#{one.attributes['id']}" for one in document.all("section")}
        assert linked == (sections if len(sections) > 1 else set())
        for section in document.all("section"):
            assert len(section.children) > 2, "a section has a heading, a lead and something to show"


def test_what_is_not_a_number_is_not_drawn(tmp_path, parse):
    shown = VerificationReport("x", kept={"a": [(1, float("nan"))]}, loss={"a": []}, roc={"ORL": {"CLIP": []}})
    document = parse(write_verification_report(shown, tmp_path).read_text("utf-8"))
    assert [one.attributes["id"] for one in document.all("section")] == ["errors"]
    assert not document.all("svg")


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(document):
    for element in document.walk():
        for name, value in element.attributes.items():
            assert not name.startswith("on") and name != "style"
            if name in ("src", "href", "srcset", "data", "action", "poster"):
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
def test_bars_and_curves_stand_out_from_the_card(report, scheme):
    """WCAG 2.2, 1.4.11: graphics need 3:1 (texts use the colours that the other report's test checks)."""
    style = report.all("style")[0].text()
    palettes = [dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{6});", one)) for one in re.findall(r":root\{(.*?)\}", style)]
    colours = palettes[scheme]
    used = dict(re.findall(r"\.(c\d|first|second|plus|minus|even,\.zero)\{(?:fill|stroke):var\(--([a-z-]+)\)", style))
    assert set(used) == {"c0", "c1", "c2", "c3", "c4", "first", "second", "plus", "minus", "even,.zero"}
    for name in used.values():
        dark, light = sorted((luminance(colours[name]), luminance(colours["card"])))
        assert (light + 0.05) / (dark + 0.05) >= 3.0, name
    assert set(re.findall(r"var\(--([a-z-]+)\)", style)) <= set(colours)

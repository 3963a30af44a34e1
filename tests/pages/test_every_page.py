"""What every page has to be, whatever it shows: each is built by the function that a run calls."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from tests.pages import examples
from tests.pages.reader import parse


@pytest.fixture(scope="module", params=examples.PAGES)
def page(request, tmp_path_factory) -> Path:
    return examples.PAGES[request.param](tmp_path_factory.mktemp(request.param) / "new" / "report")


@pytest.fixture
def markup(page):
    return page.read_text("utf-8")


@pytest.fixture
def document(markup):
    return parse(markup)


def test_texts_of_strangers_make_no_markup(document, page, markup):
    assert examples.HOSTILE in document.text() or page.parent.parent.name.startswith("one_kind")
    assert "<script" not in markup and "&amp;lt;" not in markup


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(document, markup):
    for name, value in [entry for element in document.walk() for entry in element.attributes.items()]:
        assert not name.startswith("on")
        assert name != "style" or (re.fullmatch(r"[\w\s:;,.#()-]*", value) and "url" not in value)
        if name in ("src", "href", "srcset", "data", "action", "poster", "cite", "xlink:href"):
            assert re.match(r"images/\d{4}\.(png|jpg)$|#[\w-]+$", value), value
    assert not document.all("script", "link", "iframe", "object", "embed", "base", "form", "use", "foreignobject")
    assert not re.search(r"url\(|@import|https?:|//", document.all("style")[0].text())
    policies = [meta.attributes["content"] for meta in document.all("meta") if "http-equiv" in meta.attributes]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:"]
    assert markup.lstrip().startswith("<!doctype html>\n<html lang=")


def test_language_landmarks_and_references(document):
    assert document.values("lang", "html") == ["en"]
    assert [len(document.all(name)) for name in ("header", "main", "footer")] == [1, 1, 1]
    identifiers = [element.attributes["id"] for element in document.walk() if "id" in element.attributes]
    assert len(identifiers) == len(set(identifiers))
    named = [element.attributes.get("aria-labelledby") for element in document.walk()]
    linked = [link.removeprefix("#") for link in document.values("href", "a")]
    assert {*filter(None, named), *linked} <= set(identifiers) and all(document.texts("a"))
    for drawing in document.all("svg"):
        assert drawing.attributes.get("aria-hidden") == "true" or drawing.attributes["aria-label"]


def test_the_contents_are_those_of_the_sections(document):
    linked = [link for nav in document.all("nav") for link in nav.values("href", "a")]
    sections = [f"#{identifier}" for identifier in document.values("id", "section")]
    assert linked == (sections if len(sections) > 1 else [])
    for section in document.all("section"):
        assert len(section.elements()) > 1, "a section has a heading and something to show"


def test_headings_go_down_one_level_at_a_time(document):
    headings = document.all("h1", "h2", "h3", "h4", "h5", "h6")
    levels = [int(heading.name[1]) for heading in headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(heading.text() and "/home/me" not in heading.text() for heading in headings)


def test_tables_have_captions_and_scoped_headers(document):
    for table in document.all("table"):
        assert table.elements()[0].name == "caption"
        columns, rows = table.all("thead")[0].all("th"), table.all("tbody")[0].elements()
        assert rows and all(cell.attributes["scope"] == "col" and cell.text() for cell in columns)
        for row in rows:
            first, *others = row.elements()
            assert row.name == "tr" and len(others) + 1 == len(columns)
            assert first.name == "th" and first.attributes["scope"] == "row"
            assert all(cell.name == "td" for cell in others)
    captions = document.texts("caption")
    assert len(captions) == len(set(captions)) and all(captions)


def test_pictures_exist_and_are_described(document, page):
    shown = document.values("src", "img")
    files = {str(path.relative_to(page.parent)) for path in page.parent.rglob("*.*")} - {"index.html"}
    images = document.all("img")
    assert set(shown) == files
    maps = [image for image in images if image.attributes.get("class") in ("map", "under")]
    assert all(image.attributes["alt"] for image in maps if image.attributes["class"] == "map")
    for image in (image for image in images if image not in maps):
        assert image.attributes["alt"] and "/home/me" not in image.attributes["alt"]
        width, height = int(image.attributes["width"]), int(image.attributes["height"])
        assert 192 <= max(width, height) <= 320
        with Image.open(page.parent / image.attributes["src"]) as opened:
            assert width / height == pytest.approx(opened.width / opened.height, rel=0.02)


def test_bars_and_charts_stay_in_their_boxes(document):
    for shape in document.all("rect"):
        left, width = (float(shape.attributes.get(name, "0").rstrip("%")) for name in ("x", "width"))
        assert left >= 0 and width >= 0 and left + width <= 100.02
    for path in [path for chart in document.all("svg", class_="chart") for path in chart.all("path")]:
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", path.attributes["d"])]
        assert all(-1 <= x <= 341 for x in numbers[::2]) and all(-1 <= y <= 221 for y in numbers[1::2])


def test_what_is_no_number_is_not_written(document):
    assert not re.search(r"\b(nan|None|inf)\b", document.all("main")[0].text())


def test_the_same_data_give_the_same_bytes(request, page, tmp_path):
    def files(page):
        return {str(path.relative_to(page.parent)): path.read_bytes() for path in page.parent.rglob("*.*")}

    assert files(page) == files(examples.PAGES[request.node.callspec.params["page"]](tmp_path))

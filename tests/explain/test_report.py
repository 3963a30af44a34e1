"""The written page, read back by an HTML reader that knows nothing of how it was made."""

import dataclasses
import errno
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecor_jax.errors import UserError
from ecor_jax.explain.records import (
    Calibration,
    ExplainedPicture,
    Explanation,
    MethodRow,
    Outcomes,
    Pair,
    Reliability,
    ReliabilityBin,
    Report,
)
from ecor_jax.explain.report import write_explanations, write_report


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def example() -> Report:
    """Every part of a page, with texts that would break it if they were not escaped."""
    said = [
        Explanation("CLIP", [Pair("dog", "a tail", 0.00042), Pair("cat & co", "fur", 0.000041)], "dog", "WR"),
        Explanation("ECOR", [Pair("cat & co", "<whiskers>", 0.61), Pair("cat & co", "wings", 0.122)], "cat & co", "RR"),
    ]
    reliability = Reliability([ReliabilityBin(0.31, 0.27, 11), ReliabilityBin(0.95, 0.8, 1234)], 0.0567)
    classes = {"cat & co": Outcomes(0.75, 0.25, 0, 0, 4), 'the "rest"': Outcomes(0.1, 0.2, 0.3, 0.4, 10)}
    nan = float("nan")
    return Report(
        title="Cats <&> dogs",
        intro="Fur, or not?",
        dataset="Pets",
        facts={"Pictures": "14", "Rationales": "<7>"},
        methods=[
            MethodRow("CLIP", Outcomes(0.101, 0.202, 0.303, 0.394, 1400), seconds=3.21),
            MethodRow("ECOR", Outcomes(0.511, 0.207, 0.109, 0.173, 1400), (0.49, 0.53), (0.7, 0.73), 75.0),
        ],
        pictures=[
            ExplainedPicture("cats/<1>.png", picture(64, 64), said, "cat & co", ["<whiskers>", "a tail"]),
            ExplainedPicture("b.jpg", picture(1000, 500), said[:1], "dog", ["w", "x", "y", "z"]),
        ],
        classes={"ECOR": classes | {"unseen": Outcomes(nan, nan, nan, nan, 0)}},
        calibration={"ECOR": Calibration(reliability, reliability)},
        loss={"ECOR": [(0, 4.0), (50, 2.5)]},
        images_per_second={"ECOR": [(0, 100.0), (50, 640.0), (60, 650.0)]},
        commands=["python -m launch.quickstart --workdir=a&b"],
        notes=["Mind the <gap>."],
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    return write_report(example(), tmp_path_factory.mktemp("report") / "new" / "report")


@pytest.fixture(scope="module")
def document(written, parse):
    return parse(written.read_text("utf-8"))


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_only_the_page_and_its_pictures_are_written(written):
    assert set(tree(written.parent)) == {"index.html", "images", "images/0001.png", "images/0002.jpg"}


def test_pictures_are_small_files_of_their_shown_shape(written, document):
    tiny, large = document.all("img")
    with Image.open(written.parent / tiny.attributes["src"]) as opened:
        assert np.array_equal(np.asarray(opened), np.asarray(picture(64, 64))), "a tiny picture is kept exactly"
    assert (tiny.attributes["width"], tiny.attributes["height"]) == ("192", "192")
    with Image.open(written.parent / large.attributes["src"]) as opened:
        assert opened.size == (640, 320)
    assert (large.attributes["width"], large.attributes["height"]) == ("320", "160")


def test_alt_texts_say_what_the_picture_is_and_who_is_right(document):
    first, second = (one.attributes["alt"] for one in document.all("img"))
    assert first == (
        "Picture of cat & co (cats/<1>.png). CLIP says dog (category wrong, reason right); "
        "ECOR says cat & co (category right, reason right)."
    )
    assert second.startswith("Picture of dog (b.jpg). CLIP says dog")


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(written, document):
    for element in document.walk():
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "data", "action", "poster"):
                assert re.match(r"images/\d{4}\.(png|jpg)$|#[a-z-]+$", value), value
    names = {element.name for element in document.walk()}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert not re.search(r"url\(|@import|https?:|//", document.all("style")[0].text())
    (policy,) = (
        one.attributes["content"]
        for one in document.all("meta")
        if one.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.split("; ") == ["default-src 'none'", "style-src 'unsafe-inline'", "img-src 'self' data:"]
    assert written.read_text("utf-8").startswith("<!doctype html>\n<html lang=")


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


def test_headings_go_down_one_level_at_a_time(document):
    headings = [one for one in document.walk() if re.fullmatch("h[1-6]", one.name)]
    levels = [int(one.name[1]) for one in headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(one.text() for one in headings)


def test_tables_have_captions_and_scoped_headers(document):
    tables = document.all("table")
    assert len(tables) == 4
    for table in tables:
        assert table.children[0].name == "caption" and table.all("caption")[0].text()
        columns = table.all("thead")[0].all("th")
        assert all(one.attributes["scope"] == "col" and one.text() for one in columns)
        for row in table.all("tbody")[0].all("tr"):
            cells = row.children
            assert len(cells) == len(columns)
            assert cells[0].name == "th" and cells[0].attributes["scope"] == "row"
            assert all(cell.name == "td" for cell in cells[1:])


def test_numbers_are_those_of_the_data(document):
    methods, classes, reliability, _ = (
        [[cell.text() for cell in row.children] for row in table.all("tbody")[0].children]
        for table in document.all("table")
    )
    assert methods == [
        ["CLIP", "10.1%", "20.2%", "30.3%", "39.4%", "30.3%", "1,400", "3.2 s"],
        [
            "ECOR", "51.1% 49.0% to 53.0%", "20.7%", "10.9%", "17.3%", "71.8% 70.0% to 73.0%", "1,400",
            "1 min 15 s",
        ],
    ]  # fmt: skip
    assert classes == [
        ["cat & co", "4", "75.0%", "25.0%", "0.0%", "0.0%"],
        ['the "rest"', "10", "10.0%", "20.0%", "30.0%", "40.0%"],
        ["unseen", "0", *["\N{EN DASH}"] * 4],
    ]
    assert reliability == [["31.0%", "27.0%", "11"], ["95.0%", "80.0%", "1,234"]]
    labels = [one.attributes.get("aria-label") for one in document.all("svg")]
    assert "ECOR: RR 51.1%, RW 20.7%, WR 10.9%, WW 17.3%" in labels
    captions = [one.text() for one in document.all("figcaption")]
    assert captions == [
        "ECOR, category ECE 5.7%", "ECOR, reason ECE 5.7%", "ECOR, loss from 4 to 2.5 at step 50",
        "ECOR, images per second 640 in the median",
    ]  # fmt: skip


def test_pairs_of_a_picture_with_marks_votes_and_one_scale(document):
    card = document.all("article")[0]
    clip, ecor = card.all("div", class_="method")
    assert [one.text() for one in clip.all("li")] == [
        "✗wrong category: dog because of ✓right reason: a tail 0.04%",
        "✓right category: cat & co because of ✗wrong reason: fur <0.01%",
    ]
    assert [one.text() for one in ecor.all("li")] == [
        "✓right category: cat & co because of ✓right reason: <whiskers> 61.0%",
        "✓right category: cat & co because of ✗wrong reason: wings 12.2%",
    ]
    assert clip.all("p", class_="vote")[0].text() == "says dog 1 of 2 pairs"
    assert ecor.all("p", class_="vote")[0].text() == "says cat & co 2 of 2 pairs"
    assert clip.all("p", class_="verdict")[0].text() == "✗ wrong category ✓ right reason"
    widths = [(one.attributes["class"], one.attributes["width"]) for one in card.all("rect")]
    assert widths == [("wr", "1.00%"), ("rw", "1.00%"), ("rr", "100.00%"), ("rw", "20.00%")]


def test_gold_rationales_are_shown_or_unfold(document):
    first, second = document.all("article")
    assert "Right reasons: <whiskers>; a tail" in first.text()
    (unfolding,) = second.all("details")
    assert unfolding.all("summary")[0].text() == "4 right reasons"
    assert [one.text() for one in unfolding.all("ul")[0].all("li")] == ["w", "x", "y", "z"]


def test_titles_facts_commands_and_notes_are_text(document):
    assert document.all("title")[0].text() == document.all("h1")[0].text() == "Cats <&> dogs"
    assert [one.text() for one in document.all("header")[0].all("dd")] == ["14", "<7>"]
    assert [one.text() for one in document.all("pre")] == ["python -m launch.quickstart --workdir=a&b"]
    assert "Mind the <gap>." in [one.text() for one in document.all("li")]


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of #rrggbb."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_of_texts_and_bars(document, scheme):
    style = document.all("style")[0].text()
    light, dark = (
        dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{6});", block)) for block in re.findall(r":root\{(.*?)\}", style)
    )
    colours = {"light": light, "dark": dark}[scheme]
    assert set(re.findall(r"var\(--([a-z-]+)\)", style)) <= set(colours)
    texts = [
        *((ink, ground) for ink in ("ink", "quiet", "accent") for ground in ("page", "card", "inset")),
        *((mark, "card") for mark in ("right", "wrong")),
        *((f"on-{outcome}", outcome) for outcome in ("rr", "rw", "wr", "ww")),
    ]
    shapes = [(shape, "card") for shape in ("rr", "rw", "wr", "ww", "accent")]
    for least, pairs in ((4.5, texts), (3.0, shapes)):
        for front, back in pairs:
            assert contrast(colours[front], colours[back]) >= least, (front, back)


def test_contrast_formula():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def test_writing_twice_gives_the_same_bytes(tmp_path):
    write_report(example(), tmp_path / "a")
    once = tree(tmp_path / "a")
    write_report(example(), tmp_path / "a")
    assert tree(tmp_path / "a") == once


def test_a_new_report_replaces_the_old_one_and_leaves_other_files(tmp_path):
    write_report(example(), tmp_path)
    (tmp_path / "results.json").write_text("{}")
    write_report(Report(title="Empty"), tmp_path)
    assert set(tree(tmp_path)) == {"index.html", "results.json"}


@pytest.mark.parametrize("part", [field.name for field in dataclasses.fields(Report) if field.name != "title"])
def test_any_part_may_be_missing_or_alone(tmp_path, parse, part):
    full, empty = example(), Report(title="Empty")
    for report in (
        dataclasses.replace(full, **{part: getattr(empty, part)}),
        dataclasses.replace(empty, **{part: getattr(full, part)}),
    ):
        document = parse(write_report(report, tmp_path).read_text("utf-8"))
        linked = {one.attributes["href"] for one in document.all("nav")[0].all("a")} if document.all("nav") else set()
        sections = {f"#{one.attributes['id']}" for one in document.all("section")}
        assert linked == (sections if len(sections) > 1 else set())
        for section in document.all("section"):
            assert len(section.children) > 2, "a section has a heading, a lead and something to show"


def test_inner_lists_may_be_empty(tmp_path, parse):
    nothing = Reliability([], float("nan"))
    report = Report(
        title="Empty",
        pictures=[
            ExplainedPicture("a", picture(8, 8), []),
            ExplainedPicture("b", picture(8, 8), [Explanation("CLIP", [], "cat")], "cat"),
        ],
        classes={"CLIP": {}},
        calibration={"CLIP": Calibration(nothing, nothing)},
        loss={"CLIP": []},
        images_per_second={"CLIP": [(0, float("nan"))]},
    )
    document = parse(write_report(report, tmp_path).read_text("utf-8"))
    assert [one.attributes["id"] for one in document.all("section")] == ["pictures", "classes", "calibration"]


def test_without_gold_nothing_is_called_right_or_wrong(tmp_path, parse):
    pairs = [Pair("cat", "fur", 0.5), Pair("dog", "fur", 0.25)]
    own = ExplainedPicture("mine/my cat.jpg", picture(20, 30), [Explanation("ECOR", pairs, "cat")])
    page = write_explanations([own], tmp_path, "My pictures")
    body = parse(page.read_text("utf-8")).all("body")[0]
    (image,) = body.all("img")
    assert image.attributes["alt"] == "Picture of mine/my cat.jpg. ECOR says cat."
    assert [one.text() for one in body.all("h3")] == ["mine/my cat.jpg"]
    assert not re.search("right|wrong|✓|✗", body.text())
    assert {one.attributes["class"] for one in body.all("rect")} == {"plain"}


def test_with_a_gold_category_alone_only_the_category_is_judged(tmp_path, parse):
    pairs = [Pair("cat", "fur", 0.5), Pair("dog", "fur", 0.25)]
    explained = ExplainedPicture("a.png", picture(20, 30), [Explanation("ECOR", pairs, "cat")], "cat")
    document = parse(write_explanations([explained], tmp_path, "x").read_text("utf-8"))
    assert document.all("p", class_="verdict")[0].text() == "✓ right category"
    assert [one.text() for one in document.all("article")[0].all("li")] == [
        "✓right category: cat because of fur 50.0%",
        "✗wrong category: dog because of fur 25.0%",
    ]


def test_a_photo_is_turned_upright_and_loses_its_metadata(tmp_path):
    photo = picture(300, 200)
    exif = photo.getexif()
    exif[0x0112] = 6  # orientation: to be turned by 90 degrees
    exif[0x013B] = "Ada Lovelace"
    photo.save(tmp_path / "photo.jpg", exif=exif, comment=b"at home")
    with Image.open(tmp_path / "photo.jpg") as opened:
        write_explanations([ExplainedPicture("photo.jpg", opened, [])], tmp_path / "out", "x")
    file = tmp_path / "out" / "images" / "0001.jpg"
    with Image.open(file) as opened:
        assert opened.size == (200, 300)
        assert not opened.getexif()
    assert b"Ada" not in file.read_bytes() and b"at home" not in file.read_bytes()


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "CMYK"])
def test_pictures_of_any_mode_are_shown(tmp_path, mode):
    write_explanations([ExplainedPicture("a", picture(40, 40).convert(mode), [])], tmp_path, "x")
    with Image.open(tmp_path / "images" / "0001.png") as opened:
        assert opened.mode == "RGB"


def test_a_full_disk_is_an_error_and_the_old_report_stays(tmp_path, monkeypatch):
    write_report(example(), tmp_path)
    before = tree(tmp_path)

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match=f"{tmp_path}/index.html: .*No space left on device"):
        write_report(Report(title="New"), tmp_path)
    assert tree(tmp_path) == before


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/report: the report cannot be written"):
        write_report(example(), tmp_path / "file" / "report")


@pytest.mark.parametrize("foreign", ["index.html", "images/holiday.jpg"])
def test_files_of_others_are_never_overwritten(tmp_path, foreign):
    (tmp_path / foreign).parent.mkdir(exist_ok=True)
    (tmp_path / foreign).write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(UserError, match="name a new or empty directory"):
        write_report(example(), tmp_path)
    assert tree(tmp_path) == before


def test_names_that_no_file_can_hold_are_still_shown(tmp_path, parse):
    explained = ExplainedPicture("bad\udcff\x00.png\u202egnp", picture(8, 8), [])
    document = parse(write_explanations([explained], tmp_path, "x").read_text("utf-8"))
    assert document.all("h3")[0].text() == "bad\ufffd\ufffd.png\ufffdgnp"

"""A page's way onto the disk, and what any template can do."""

import errno
import re
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ecor_jax.errors import UserError
from ecor_jax.pages import page as module
from ecor_jax.pages.page import write_page
from tests.pages import examples
from tests.pages.reader import parse

HERE = Path(module.__file__).parent


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def write(folder: Path, text: str, **given: Any) -> Path:
    """The page of a template of one's own, in the folder `out`."""
    (folder / "own.html").write_text('{% extends "base.html" %}{% block main %}' + text + "{% endblock %}")
    return write_page(folder / "out", folder / "own.html", title="Mine", **given)


def test_a_template_of_the_users_own_extends_ours(tmp_path):
    part = '{% call m.part("x", "Title") %}{{ picture(image).src }} {{ share | percent }}{% endcall %}'
    page = write(tmp_path, part, image=Image.new("RGB", (4, 4)), share=0.25)
    assert parse(page.read_text()).section("x").text() == "Title images/0001.png 25.0%"


def test_a_name_that_is_misspelt_is_an_error(tmp_path):
    with pytest.raises(jinja2.UndefinedError, match="shaer"):
        write(tmp_path, "{{ shaer }}")
    assert not list((tmp_path / "out").iterdir())


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.one_of(st.sampled_from("<>&\"'/=!-"), st.characters()), max_size=30), max_size=20))
def test_any_text_comes_back_as_text_and_makes_no_markup(tmp_path, texts):
    loop = '{% for text in texts %}<p title="{{ text }}" class="mine">{{ text }}</p>{% endfor %}'
    written = parse(write(tmp_path, loop, texts=texts).read_text("utf-8"))
    bad = {*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000), *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
    for text, paragraph in zip(texts, written.all("p", class_="mine"), strict=True):
        expected = "".join("\ufffd" if ord(c) in bad and c not in "\t\n" else c for c in text)
        assert ("".join(map(str, paragraph.children)), paragraph.attributes["title"]) == (expected, expected)


def test_markup_is_made_by_templates_and_charts_alone():
    """What is data is never called safe, and stands in quotes where it is an attribute."""
    for path in (HERE / "templates").iterdir():
        text = path.read_text()
        assert not re.search(r"\|\s*safe|autoescape|Markup|=\{\{", text), path
    for path in HERE.glob("*.py"):
        assert path.name in ("charts.py", "links.py") or "Markup" not in path.read_text(), path


def test_notes_commands_and_what_was_left_out(tmp_path):
    lines = ["short", "short", "long " * 50, *map(str, range(9))]
    page = write_page(tmp_path, "generic.html", title="t", commands=["a & b"], notes=["mind"], left_out=lines)
    document = parse(page.read_text())
    left_out = document.section("left-out")
    assert left_out.text().count("short") == 1, "what is said twice is written once"
    folded, more = left_out.texts("summary")
    assert folded.endswith("…") and more == "6 more"
    assert document.texts("pre") == ["a & b"] and document.section("notes").texts("li") == ["mind"]


def test_paths_are_shown_by_their_ends(tmp_path):
    facts = {"Model": "/home/me/runs/clip/model", "Hub": "openai/clip", "Seed": 0}
    document = parse(write_page(tmp_path, "generic.html", title="t", facts=facts).read_text())
    assert document.all("header")[0].texts("dd") == ["clip/model", "openai/clip", "0"]
    assert document.all("dd")[0].all("span")[0].attributes["title"] == facts["Model"]


# Pictures


def shown(tmp_path: Path, image: Image.Image) -> Path:
    write(tmp_path, "{{ m.photograph(image, 'x') }}", image=image)
    (file,) = (tmp_path / "out" / "images").iterdir()
    return file


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "CMYK"])
def test_a_tiny_picture_of_any_mode_is_kept_exactly(tmp_path, mode):
    image = examples.picture(64, 40).convert(mode)
    with Image.open(shown(tmp_path, image)) as opened:
        assert opened.format == "PNG" and np.array_equal(np.asarray(opened), np.asarray(image.convert("RGB")))


def test_a_photo_is_made_smaller_and_loses_its_metadata(tmp_path):
    """It is shown as its pixels lie: what decoded it turned it, and a model saw just that."""
    photo = examples.picture(1000, 500)
    exif = photo.getexif()
    exif[0x0112] = 6  # orientation: to be turned by 90 degrees
    exif[0x013B] = "Ada Lovelace"
    photo.save(tmp_path / "photo.jpg", exif=exif, comment=b"at home")
    with Image.open(tmp_path / "photo.jpg") as opened:
        file = shown(tmp_path, opened)
    with Image.open(file) as opened:
        assert opened.size == (640, 320) and not opened.getexif()
    assert b"Ada" not in file.read_bytes() and b"at home" not in file.read_bytes()


# Files of others, and what goes wrong


def test_a_new_page_replaces_the_old_one_and_leaves_other_files(tmp_path):
    examples.explanations(tmp_path, *examples.PAIRS)
    (tmp_path / "results.json").write_text("{}")
    write_page(tmp_path, "generic.html", title="Empty")
    assert set(tree(tmp_path)) == {"index.html", "results.json"}


@pytest.mark.parametrize("foreign", ["index.html", "images/holiday.jpg"])
def test_files_of_others_are_never_overwritten(tmp_path, foreign):
    (tmp_path / foreign).parent.mkdir(exist_ok=True)
    (tmp_path / foreign).write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(UserError, match="name a new or empty directory"):
        write_page(tmp_path, "generic.html", title="t")
    assert tree(tmp_path) == before


def test_a_full_disk_is_an_error_and_the_old_page_stays(tmp_path, monkeypatch):
    examples.explanations(tmp_path, *examples.PAIRS)
    before = tree(tmp_path)

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match=f"{tmp_path}/index.html: .*No space left on device"):
        write_page(tmp_path, "generic.html", title="New")
    assert tree(tmp_path) == before


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/page: the page cannot be written"):
        write_page(tmp_path / "file" / "page", "generic.html", title="t")


# The style sheet


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of #rrggbb."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_texts_and_shapes_stand_out(scheme):
    """WCAG 2.2: texts need 4.5:1 (1.4.3), graphics 3:1 (1.4.11)."""
    style = (HERE / "style.css").read_text()
    roots = re.findall(r":root \{(.*?)\}", style, re.S)
    palettes = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", root)) for root in roots]
    assert set(palettes[0]) == set(palettes[1]) == set(re.findall(r"var\(--([a-z-]+)\)", style))
    colours = palettes[scheme]
    texts = [
        *((ink, ground) for ink in ("ink", "quiet", "accent") for ground in ("page", "card", "inset")),
        *((mark, "card") for mark in ("right", "wrong")),
        *((f"on-{outcome}", outcome) for outcome in ("rr", "rw", "wr", "ww")),
    ]
    shapes = [(shape, "card") for shape in ("rr", "rw", "wr", "ww", "accent", "wrong", "quiet")]
    shapes += [(shape, "inset") for shape in ("rr", "accent", "wrong")]
    for least, pairs in ((4.5, texts), (3.0, shapes)):
        for front, back in pairs:
            assert contrast(colours[front], colours[back]) >= least, (front, back)
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)

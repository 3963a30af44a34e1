"""The page of explained pairs, read back by an HTML reader that knows nothing of how it was made."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecor_jax.errors import UserError
from ecor_jax.explain.pair_page import write_pairs
from ecor_jax.explain.pair_records import Concept, ExplainedPair, Intervention, Side

MINUS = "\N{MINUS SIGN}"


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def concepts() -> list[Concept]:
    """By group the contributions are .62 (nose), .26 (eyes) and -.05 (ears)."""
    return [
        Concept("nose", "a <broad> bridge", 0.6, 0.3, 0.4),
        Concept("nose", "a narrow bridge", 0.4, 0.7, 0.22),
        Concept("eyes", "round & wide", 0.25, 0.25, 0.2),
        Concept("eyes", "almond", 0.75, 0.75, 0.06),
        Concept("ears", "large", 0.501, 0.502, -0.04),
        Concept("ears", "small", 0.499, 0.498, -0.01),
    ]


def match(**changes) -> ExplainedPair:
    sides = Side("ada/<1>.png", picture(92, 112)), Side("ada/2.png", picture(800, 400, seed=1))
    return ExplainedPair(*sides, **{"similarity": 0.83, "threshold": 0.71, "concepts": concepts(), **changes})


def non_match(**changes) -> ExplainedPair:
    sides = Side("ada/1.png", picture(20, 20)), Side("bob/1.png", picture(20, 20, seed=1))
    given = {"similarity": 0.63, "threshold": 0.71, "concepts": concepts(), "bias": -0.2}
    return ExplainedPair(*sides, **{**given, **changes})


@pytest.fixture
def read(tmp_path, parse):
    def write(*pairs: ExplainedPair):
        return parse(write_pairs(pairs, tmp_path / "page", "Pairs <&>", "An intro.").read_text("utf-8"))

    return write


def test_contributions_have_to_add_up():
    assert match().total == pytest.approx(0.83)
    assert non_match().total == pytest.approx(0.63)
    assert match(similarity=0.83005).total == pytest.approx(0.83)
    for wrong in (0.8302, float("nan")):
        with pytest.raises(ValueError, match=r"add up to 0\.83.*not to the similarity"):
            match(similarity=wrong)
    with pytest.raises(ValueError, match="add up"):
        non_match(bias=0.0)


@pytest.mark.parametrize(
    ("threshold", "same", "matches", "right"),
    [(0.71, True, True, True), (0.71, False, True, False), (0.9, True, False, False), (0.9, False, False, True),
     (0.71, None, True, None), (0.83, True, False, False)],
)  # fmt: skip
def test_verdict_and_gold(threshold, same, matches, right):
    pair = match(threshold=threshold, same=same)
    assert (pair.match, pair.right) == (matches, right)


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        (0.71, "The same person: similarity 0.83 is above the threshold 0.71"),
        (0.8299, "The same person: similarity 0.8300 is above the threshold 0.8299"),
        (0.95, "Not the same person: similarity 0.83 is below the threshold 0.95"),
        (0.83, "Not the same person: similarity 0.83 is not above the threshold 0.83, but equal to it"),
        (-0.5, f"The same person: similarity 0.83 is above the threshold {MINUS}0.50"),
    ],
)
def test_the_verdict_in_words(read, threshold, words):
    (article,) = read(match(threshold=threshold)).all("article")
    (heading,) = article.all("h3")
    assert heading.text() == words
    assert article.attributes["aria-labelledby"] == heading.attributes["id"]
    assert not re.search("✓|✗", article.text()), "without gold nothing is judged"


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (match(same=True), "✓ right: this is the same person"),
        (match(same=False), "✗ wrong: these are two people"),
        (non_match(same=False), "✓ right: these are two people"),
        (non_match(same=True), "✗ wrong: this is the same person"),
    ],
)
def test_gold_in_words(read, pair, words):
    assert [one.text() for one in read(pair).all("p", class_="gold")] == [words]


def test_both_faces_side_by_side_with_their_own_pictures(read, tmp_path):
    document = read(match(), non_match())
    images = document.all("img")
    assert [one.attributes["alt"] for one in images] == [
        "The first picture: ada/<1>.png", "The second picture: ada/2.png",
        "The first picture: ada/1.png", "The second picture: bob/1.png",
    ]  # fmt: skip
    assert [one.text() for one in document.all("figcaption")] == [
        "firstada/<1>.png", "secondada/2.png", "firstada/1.png", "secondbob/1.png",
    ]  # fmt: skip
    folder = tmp_path / "page"
    for index, expected in ((0, picture(92, 112)), (2, picture(20, 20)), (3, picture(20, 20, seed=1))):
        with Image.open(folder / images[index].attributes["src"]) as opened:
            assert np.array_equal(np.asarray(opened), np.asarray(expected))
    with Image.open(folder / images[1].attributes["src"]) as opened:
        assert opened.size == (640, 320)
    assert sorted(path.name for path in (folder / "images").iterdir()) == [
        "0001.png", "0002.jpg", "0003.png", "0004.png",
    ]  # fmt: skip


def group_texts(document) -> list[list[str]]:
    """Of each group its name, its line, and of each concept its name and amounts."""
    return [
        [one.text() for one in group.all("h5", "p", "div") if one is not group]
        for group in document.all(class_="group")
    ]


def test_a_match_shows_what_both_activate_most(read):
    document = read(match())
    assert [one.text() for one in document.all("h4")] == ["What both show most"]
    assert group_texts(document) == [
        ["nose", "The group adds +0.620.", "a narrow bridge", "first40.0%", "second70.0%", "adds+0.220"],
        ["eyes", "The group adds +0.260.", "almond", "first75.0%", "second75.0%", "adds+0.060"],
        ["ears", f"The group adds {MINUS}0.050.", "large", "first50.1%", "second50.2%", f"adds{MINUS}0.040"],
    ]


def test_a_non_match_shows_where_they_differ_and_what_is_strongest_in_each(read):
    document = read(non_match())
    assert [one.text() for one in document.all("h4")] == ["Where they differ most"]
    assert group_texts(document) == [
        ["nose", "The pictures differ by 30.0%.",
         "a <broad> bridge strongest in the first", "first60.0%", "second30.0%", "adds+0.400",
         "a narrow bridge strongest in the second", "first40.0%", "second70.0%", "adds+0.220"],
        ["ears", "The pictures differ by 0.1%.",
         "large strongest in both", "first50.1%", "second50.2%", f"adds{MINUS}0.040"],
        ["eyes", "The pictures differ by 0.0%.",
         "almond strongest in both", "first75.0%", "second75.0%", "adds+0.060"],
    ]  # fmt: skip


def test_interventions_say_what_becomes_of_the_verdict(read):
    moved = [Intervention("nose", "a narrow bridge", 0.7, 0, 0.70), Intervention("ears", "large", 0.502, 0, 0.829)]
    document = read(match(interventions=moved))
    assert document.all("h4")[-1].text() == "Were it otherwise in the second picture (now: similarity 0.830)"
    assert [one.text() for one in document.all("article")[0].all("ul")[0].all("li")] == [
        "a narrow bridge: 0.0% of its group, not 70.0%: similarity 0.700, then not the same person",
        "large: 0.0% of its group, not 50.2%: similarity 0.829, still the same person",
    ]


def test_small_differences_are_shown_to_enough_digits(read):
    """A softmax over raw cosines is nearly uniform: the digits that tell two pictures apart come late."""
    near = [Concept("nose", "a", 0.333412, 0.333449, 0.5), Concept("nose", "b", 0.3333, 0.3333, 0.33)]
    document = read(match(concepts=near))
    assert group_texts(document)[0][2:5] == ["a", "first33.341%", "second33.345%"]
    cells = [one.text() for one in document.all("tbody")[0].all("td")]
    assert cells[:2] == ["33.341%", "33.345%"]


def test_bars_share_one_scale_and_signs_have_sides(read):
    document = read(match())
    activations = [
        (one.attributes["class"], one.attributes["width"]) for one in document.all("rect")
        if one.attributes["class"] in ("first", "second")
    ]  # fmt: skip
    assert activations == [
        ("first", "53.33%"), ("second", "93.33%"), ("first", "100.00%"), ("second", "100.00%"),
        ("first", "66.80%"), ("second", "66.93%"),
    ]  # fmt: skip
    assert {one.attributes["x1"] for one in document.all("line", class_="even")} == {"66.67%"}, "1/2 of .75"
    contributions = [
        (one.attributes["class"], one.attributes["x"], one.attributes["width"]) for one in document.all("rect")
        if one.attributes["class"] in ("plus", "minus")
    ]  # fmt: skip
    assert contributions == [
        ("plus", "50.00%", "50.00%"), ("plus", "50.00%", "13.64%"), ("minus", "40.91%", "9.09%"),
    ]  # fmt: skip


def test_every_concept_unfolds_down_to_the_sum(read):
    document = read(non_match())
    (unfolding,) = document.all("details")
    assert "open" not in unfolding.attributes
    assert unfolding.all("summary")[0].text() == "All 6 concepts, and their sum"
    rows = [[cell.text() for cell in row.children] for row in unfolding.all("tbody")[0].children]
    assert rows == [
        ["nose: a <broad> bridge", "60.0%", "30.0%", "+0.4000"],
        ["nose: a narrow bridge", "40.0%", "70.0%", "+0.2200"],
        ["eyes: round & wide", "25.0%", "25.0%", "+0.2000"],
        ["eyes: almond", "75.0%", "75.0%", "+0.0600"],
        ["ears: large", "50.1%", "50.2%", f"{MINUS}0.0400"],
        ["ears: small", "49.9%", "49.8%", f"{MINUS}0.0100"],
        ["Bias, of no concept", "", "", f"{MINUS}0.2000"],
        ["Sum: the similarity", "", "", "+0.6300"],
    ]
    numbers = [float(row[3].replace(MINUS, "-")) for row in rows]
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1])
    assert "Bias" not in read(match()).all("details")[0].text()


def test_at_most_six_groups_at_once(read):
    many = [Concept(f"group {index}", "the only one", 1.0, 1.0, 0.1) for index in range(8)]
    document = read(match(similarity=0.8, concepts=many))
    assert [one.text() for one in document.all("h5")] == [f"group {index}" for index in range(6)]
    assert len(document.all("tbody")[0].children) == 9


def test_what_is_strange_is_still_shown(read):
    """No concepts, activations and contributions of zero, an empty page."""
    bare = read(match(concepts=[], bias=0.83)).all("article")[0]
    assert not bare.all("details") and not bare.all("h4")
    zero = read(match(concepts=[Concept("nose", "none", 0.0, 0.0, 0.0)], bias=0.83))
    assert group_texts(zero) == [["nose", "The group adds 0.00.", "none", "first0.0%", "second0.0%", "adds0.00"]]
    assert not zero.all("rect")
    assert not read().all("section")


def test_the_page_says_what_shares_and_contributions_mean(read):
    notes = " ".join(one.text() for one in read(match()).all("section")[1].all("li"))
    assert "Shares are relative" in notes and "not that the concept is there" in notes


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_writing_again_gives_the_same_bytes_and_leaves_other_files(tmp_path):
    write_pairs([match(), non_match()], tmp_path, "x", "")
    (tmp_path / "results.json").write_text("{}")
    once = tree(tmp_path)
    write_pairs([match(), non_match()], tmp_path, "x", "")
    assert tree(tmp_path) == once
    write_pairs([non_match()], tmp_path, "x", "")
    assert set(tree(tmp_path)) == {"index.html", "images/0001.png", "images/0002.png", "results.json"}


def test_files_of_others_are_never_overwritten(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(UserError, match="name a new or empty directory"):
        write_pairs([match()], tmp_path, "x", "")
    assert tree(tmp_path) == {"index.html": b"mine"}


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/page: the report cannot be written"):
        write_pairs([match()], tmp_path / "file" / "page", "x", "")


def test_pictures_of_real_faces(shared_data, tmp_path):
    """PGM, grey: as ORL's come."""
    with zipfile.ZipFile(shared_data / "faces" / "orl.zip") as faces:
        faces.extract("att_faces/s1/1.pgm", tmp_path)
    with Image.open(tmp_path / "att_faces" / "s1" / "1.pgm") as original:
        pair = ExplainedPair(Side("1.pgm", original), Side("again", original), 0.83, 0.71, concepts())
        write_pairs([pair], tmp_path / "out", "x", "")
    with Image.open(tmp_path / "out" / "images" / "0002.png") as shown:
        assert np.array_equal(np.asarray(original.convert("RGB")), np.asarray(shown))

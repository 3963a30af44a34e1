"""The page of explained studies, read back by an HTML reader that knows nothing of how it was made."""

import dataclasses
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ecor_jax.errors import UserError
from ecor_jax.explain.study_page import write_studies
from ecor_jax.explain.study_records import Diagnosis, Evidence, ExplainedStudy, WhatIf, sigmoid

MINUS = "\N{MINUS SIGN}"


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8))


def evidence() -> list[Evidence]:
    """They add up to 1.0 + 1.5 - .2 - .5 + .25 + 0 = 2.05."""
    return [
        Evidence("a <blunt> angle", "pleura", 0.30, 0.25, 20.0),
        Evidence("clear lungs", "lungs", 0.20, 0.25, -30.0),
        Evidence("sharp & deep angle", "pleura", 0.30, 0.25, -4.0),
        Evidence("meniscus sign", "pleura", 0.20, 0.25, 10.0),
        Evidence("large heart", "heart", 0.26, 0.25, 25.0),
        Evidence("typical spine", "bones", 0.25, 0.25, 90.0),
    ]


def effusion(**changes) -> Diagnosis:
    """Logit -.45 + 2.05 = 1.6."""
    given = {"probability": 0.8320184, "base": -0.45, "evidence": evidence()}
    return Diagnosis(**{"finding": "Effusion", **given, **changes})


def study(*diagnoses: Diagnosis, **changes) -> ExplainedStudy:
    given = {"name": "p1/<s1>.jpg", "image": picture(100, 80), "diagnoses": diagnoses or (effusion(),)}
    return ExplainedStudy(**{**given, **changes})


@pytest.fixture
def read(tmp_path, parse):
    def write(*studies: ExplainedStudy):
        page = write_studies(studies, tmp_path / "page", "Studies <&>", "An intro.")
        return parse(page.read_text("utf-8"))

    return write


def texts(document, *names: str, class_: str | None = None) -> list[str]:
    return [one.text() for one in document.all(*names, class_=class_)]


@given(st.floats(-700, 700))
def test_sigmoid(logit):
    assert sigmoid(logit) == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-12)
    assert sigmoid(-1e9) == 0.0 and sigmoid(1e9) == 1.0


def test_the_probability_has_to_be_that_of_the_evidence():
    assert effusion().logit == pytest.approx(1.6)
    assert effusion(probability=0.8325).logit == pytest.approx(1.6), "float32 may miss it by a little"
    for wrong in (0.84, 1.6, float("nan")):
        with pytest.raises(ValueError, match=r"Effusion.*add up to a logit of 1\.6.*not"):
            effusion(probability=wrong)
    with pytest.raises(ValueError, match="add up"):
        effusion(base=0.0)
    with pytest.raises(ValueError, match="add up"):
        effusion(evidence=[dataclasses.replace(evidence()[0], cosine=float("nan"))])


@pytest.mark.parametrize(
    ("threshold", "gold", "found", "right"),
    [(0.5, True, True, True), (0.5, False, True, False), (0.9, True, False, False), (0.9, False, False, True),
     (0.5, None, True, None), (0.8320184, None, False, None)],
)  # fmt: skip
def test_found_and_right(threshold, gold, found, right):
    diagnosis = effusion(threshold=threshold, gold=gold)
    assert (diagnosis.found, diagnosis.right) == (found, right)


def test_what_ifs_have_to_be_of_this_study():
    asked = WhatIf("a <blunt> angle", 0.30, 0.25, sigmoid(0.6))
    study(what_ifs={"Effusion": [asked]})
    with pytest.raises(ValueError, match=r"what-ifs of 'Edema', which is none of \['Effusion'\]"):
        study(what_ifs={"Edema": [asked]})
    with pytest.raises(ValueError, match="'hernia', which is no evidence"):
        study(what_ifs={"Effusion": [dataclasses.replace(asked, descriptor="hernia")]})
    with pytest.raises(ValueError, match=r"probability of 0\.9, its weight gives 0\.645"):
        study(what_ifs={"Effusion": [dataclasses.replace(asked, probability=0.9)]})


def test_the_answer_in_words(read):
    (article,) = read(study(effusion(gold=True))).all("article")
    assert texts(article, "h3") == ["p1/<s1>.jpg"]
    assert article.attributes["aria-labelledby"] == article.all("h3")[0].attributes["id"]
    assert texts(article, "h4") == ["Effusion: probability 0.83 (logit 1.60)"]
    assert texts(article, "p", class_="verdict") == ["Found: above the threshold 0.50. ✓ right: the label says yes."]


@pytest.mark.parametrize(
    ("changes", "heading", "verdict"),
    [
        ({"gold": False}, "0.83", "Found: above the threshold 0.50. ✗ wrong: the label says no."),
        ({"threshold": 0.9}, "0.83", "Not found: not above the threshold 0.90."),
        ({"threshold": 0.832}, "0.83202", "Found: above the threshold 0.83200."),
        ({"threshold": 0.8320184}, "0.83", "Not found: not above the threshold 0.83."),
    ],
)
def test_verdicts_and_digits(read, changes, heading, verdict):
    document = read(study(effusion(**changes)))
    assert texts(document, "h4") == [f"Effusion: probability {heading} (logit 1.60)"]
    assert texts(document, "p", class_="verdict") == [verdict]


@pytest.mark.parametrize(
    ("base", "words"),
    [(20.0, "probability above 0.99 (logit 20.00)"), (-20.0, f"probability below 0.01 (logit {MINUS}20.00)")],
)
def test_no_probability_is_rounded_to_certainty(read, base, words):
    assert texts(read(study(effusion(base=base, evidence=[], probability=sigmoid(base)))), "h4") == [
        f"Effusion: {words}"
    ]


def test_four_kinds_of_evidence_each_by_strength(read):
    (kinds,) = read(study()).all("div", class_="kinds")
    assert [(one.all("h5")[0].text(), texts(one, "li")) for one in kinds.children] == [
        ("Seen, and speaks for it", ["a <blunt> angle pleura +1.000", "large heart heart +0.250"]),
        ("Seen, but speaks against it", [f"sharp & deep angle pleura {MINUS}0.200"]),
        ("Not seen, which speaks for it", ["clear lungs lungs +1.500"]),
        ("Not seen, which speaks against it", [f"meniscus sign pleura {MINUS}0.500"]),
    ]


def test_bars_share_one_scale_and_signs_have_sides(read):
    drawn = [
        (one.attributes["class"], one.attributes["x"], one.attributes["width"]) for one in read(study()).all("rect")
    ]
    assert drawn == [
        ("plus", "50.00%", "33.33%"), ("plus", "50.00%", "8.33%"), ("minus", "43.33%", "6.67%"),
        ("plus", "50.00%", "50.00%"), ("minus", "33.33%", "16.67%"),
    ]  # fmt: skip


def number(text: str) -> float:
    return float(text.replace(MINUS, "-"))


def test_what_is_shown_and_the_rest_add_up_to_the_logit(read):
    document = read(study())
    assert texts(document.all("dl", class_="sum")[0], "dt") == [
        "Logit of a typical image", "The evidence above", "The rest: 1 of 6 descriptors", "Sum: the logit",
    ]  # fmt: skip
    many = [Evidence(f"d{place}", "lungs", 0.3, 0.25, 1.0 + place) for place in range(9)]
    logit = -1.0 + sum(0.05 * (1 + place) for place in range(9))
    document = read(study(effusion(evidence=many, base=-1.0, probability=sigmoid(logit))))
    base, shown, rest, total = map(number, texts(document.all("dl", class_="sum")[0], "dd"))
    assert (base, shown, rest, total) == pytest.approx((-1.0, 1.5, 0.75, 1.25))
    assert shown == pytest.approx(sum(map(number, texts(document, "span", class_="value"))))
    assert texts(document, "dt")[2] == "The rest: 5 of 9 descriptors"


def test_every_descriptor_unfolds_down_to_the_sum(read):
    document = read(study())
    (unfolding,) = document.all("details")
    assert "open" not in unfolding.attributes
    assert texts(unfolding, "summary") == ["Effusion: all 6 descriptors, and their sum"]
    rows = [[cell.text() for cell in row.children] for row in unfolding.all("tbody")[0].children]
    assert rows == [
        ["Logit of a typical image", "", "", "", f"{MINUS}0.450"],
        ["lungs: clear lungs", "0.200", "0.250", f"{MINUS}30.00", "+1.500"],
        ["pleura: a <blunt> angle", "0.300", "0.250", "+20.00", "+1.000"],
        ["pleura: meniscus sign", "0.200", "0.250", "+10.00", f"{MINUS}0.500"],
        ["heart: large heart", "0.260", "0.250", "+25.00", "+0.250"],
        ["pleura: sharp & deep angle", "0.300", "0.250", f"{MINUS}4.00", f"{MINUS}0.200"],
        ["bones: typical spine", "0.250", "0.250", "+90.00", "0.000"],
        ["Sum: the logit of Effusion", "", "", "", "+1.600"],
    ]
    adds = [number(row[-1]) for row in rows]
    assert sum(adds[:-1]) == pytest.approx(adds[-1])


def test_what_ifs_in_words(read):
    asked = [
        WhatIf("a <blunt> angle", 0.30, 0.25, sigmoid(0.6)),
        WhatIf("meniscus sign", 0.20, 0.30, sigmoid(2.6)),
        WhatIf("a <blunt> angle", 0.30, 0.35, sigmoid(2.6)),
        WhatIf("clear lungs", 0.20, 0.30, sigmoid(-1.4)),
        WhatIf("large heart", 0.26, 0.25, sigmoid(1.35)),
    ]
    document = read(study(what_ifs={"Effusion": asked}))
    assert texts(document.all("ul", class_="what-ifs")[0], "li") == [
        "Were a <blunt> angle not seen (cosine 0.250, the typical one, not 0.300): 0.83 → to 0.65.",
        "Were meniscus sign seen (cosine 0.300, not 0.200): 0.83 → to 0.93.",
        "Were the cosine of a <blunt> angle 0.350, not 0.300: 0.83 → to 0.93.",
        "Were clear lungs seen (cosine 0.300, not 0.200): 0.83 → to 0.20, and Effusion would no longer be found.",
        "Were large heart not seen (cosine 0.250, the typical one, not 0.260): 0.83 → to 0.79.",
    ]


def test_a_what_if_that_makes_a_finding(read):
    asked = WhatIf("a <blunt> angle", 0.30, 0.35, sigmoid(2.6))
    document = read(study(effusion(threshold=0.9), what_ifs={"Effusion": [asked]}))
    assert texts(document, "li")[-5:][0].endswith("not 0.300: 0.83 → to 0.93, and Effusion would then be found.")


def test_a_float32_cosine_at_the_typical_one_is_not_seen(read):
    near = float(np.float32(0.25)) + 3e-8
    asked = WhatIf("a <blunt> angle", 0.30, near, sigmoid(0.6))
    assert (
        "not seen (cosine 0.250, the typical one, not 0.300)"
        in texts(read(study(what_ifs={"Effusion": [asked]})).all("ul", class_="what-ifs")[0], "li")[0]
    )


def test_what_was_reported_and_what_of_it_the_model_sees(read):
    reported = ("A <blunt> angle", "clear lungs", "hiatal <hernia>")
    document = read(study(reported=reported, report_source="the radiologist's report"))
    (report,) = document.all("div", class_="report")
    assert texts(report, "p") == ["From the radiologist's report. Of 3 the model has 2 as descriptors, and sees 1."]
    assert texts(report, "li") == [
        "A <blunt> angle ✓ seen by the model",
        "clear lungs ✗ not seen by the model",
        "hiatal <hernia> not among the model's descriptors",
    ]
    assert not read(study()).all("div", class_="report")


def test_of_many_diagnoses_those_that_say_no_are_folded(read):
    def said(finding: str, threshold: float, gold: bool | None) -> Diagnosis:
        return effusion(finding=finding, threshold=threshold, gold=gold)

    few = [said("A", 0.5, None), said("B", 0.9, None), said("C", 0.9, None)]
    assert len(read(study(*few)).all("details", class_="diagnosis")) == 0
    many = [*few, said("missed", 0.9, True), said("rightly not", 0.9, False)]
    folded = read(study(*many)).all("details", class_="diagnosis")
    assert [one.all("h4")[0].text().split(":")[0] for one in folded] == ["B", "C", "rightly not"]


def test_the_image_and_its_alternative_text(read, tmp_path):
    document = read(study(), study(name="two", image=picture(900, 450, seed=1)))
    images = document.all("img")
    assert [one.attributes["alt"] for one in images] == [
        "Image of the study p1/<s1>.jpg. Effusion, probability 0.83.",
        "Image of the study two. Effusion, probability 0.83.",
    ]
    with Image.open(tmp_path / "page" / images[0].attributes["src"]) as opened:
        assert np.array_equal(np.asarray(opened), np.asarray(picture(100, 80).convert("RGB")))
    with Image.open(tmp_path / "page" / images[1].attributes["src"]) as opened:
        assert opened.size == (640, 320)


def test_every_page_says_that_it_is_no_medical_device(read):
    for document in (read(study()), read()):
        notice = document.all("section")[0]
        assert notice.attributes["id"] == "notice" and notice.all("h2")[0].text() == "Not a medical device"
        assert "research software" in notice.text() and "diagnose" in notice.text()
        intro = document.all("header")[0].all("p", class_="intro")[0].text()
        assert intro == "An intro. Research software, not a medical device."


def test_the_page_says_what_seen_means(read):
    notes = " ".join(texts(read(study()).all("ul", class_="notes")[0], "li"))
    assert "cosines of CLIP bunch together" in notes and "beyond the typical" in notes and "exact" in notes


def test_what_is_strange_is_still_shown(read):
    """No diagnoses, no evidence, contributions of zero."""
    assert read(study(diagnoses=())).all("img")[0].attributes["alt"] == "Image of the study p1/<s1>.jpg."
    bare = read(study(effusion(evidence=[], base=1.6)))
    assert not bare.all("details") and not bare.all("h5")
    idle = read(study(effusion(evidence=[Evidence("spine", "bones", 0.25, 0.25, 3.0)], base=1.6)))
    assert not idle.all("rect") and not idle.all("h5")
    assert texts(idle, "dd") == ["+1.600", "0.000", "0.000", "+1.600"]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_writing_again_gives_the_same_bytes_and_leaves_other_files(tmp_path):
    write_studies([study(), study()], tmp_path, "x", "")
    (tmp_path / "results.json").write_text("{}")
    once = tree(tmp_path)
    write_studies([study(), study()], tmp_path, "x", "")
    assert tree(tmp_path) == once
    write_studies([study()], tmp_path, "x", "")
    assert set(tree(tmp_path)) == {"index.html", "images/0001.png", "results.json"}


def test_files_of_others_are_never_overwritten(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(UserError, match="name a new or empty directory"):
        write_studies([study()], tmp_path, "x", "")
    assert tree(tmp_path) == {"index.html": b"mine"}


def test_a_real_chest_image(shared_data, tmp_path):
    with zipfile.ZipFile(shared_data / "xray" / "nih_subset.zip") as images:
        images.extract(images.namelist()[0], tmp_path)
        image = tmp_path / images.namelist()[0]
    with Image.open(image) as original:
        write_studies([study(image=original)], tmp_path / "out", "x", "")
    with Image.open(tmp_path / "out" / "images" / "0001.jpg") as shown:
        difference = np.asarray(original.convert("RGB"), np.int16) - np.asarray(shown, np.int16)
        assert original.size == shown.size and np.abs(difference).mean() < 4

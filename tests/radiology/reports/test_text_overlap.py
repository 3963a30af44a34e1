"""ROUGE-L and METEOR: the issue's case of another order, slow definitions, and which METEOR it is."""

import re
import socket
from importlib.metadata import version

import nltk
import pytest
from nltk.corpus import wordnet

from ecor_jax.errors import UserError
from ecor_jax.radiology.reports.descriptor_sets import equal, set_agreement
from ecor_jax.radiology.reports.text_overlap import meteor, rouge, text_overlap

LONG, SHORT = "blunting of the left costophrenic angle", "enlarged cardiac silhouette"


@pytest.fixture(autouse=True)
def no_wordnet(tmp_path, monkeypatch):
    """NLTK looks in an empty folder, whatever this machine has, and the network may not be touched."""
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("the network was touched"))
    wordnet._unload()
    yield
    wordnet._unload()


def test_the_same_two_sentences_in_another_order():
    """ROUGE-L is two thirds (the longer sentence alone is common), though the same things were said."""
    values = {score.name: score.value for score in text_overlap([[LONG, SHORT]], [[SHORT, LONG]])}
    # METEOR: all nine words in two chunks.
    assert values == pytest.approx({"rouge_l": 6 / 9, "rouge_lsum": 1, "meteor_exact_stem": 1 - 0.5 * (2 / 9) ** 3})
    assert set_agreement([[LONG, SHORT]], [[SHORT, LONG]], equal).micro.f1 == 1


def test_case_punctuation_line_breaks_and_endings_change_nothing():
    plain, other = [["clear lungs", "normal heart size"]], [["Clear lung.", "Normal\nheart sizes;"]]
    assert [score.value for score in rouge(plain, other)] == [1, 1]
    assert meteor(other, plain).value == meteor(plain, plain).value


def test_meteor_by_hand():
    """Three of four predicted and of five reported words match, in two chunks: 'clear left' and 'heart'."""
    scores = meteor([["clear left mass", "heart"]], [["clear left lung", "big heart"]])
    precision, recall = 3 / 4, 3 / 5
    mean = precision * recall / (0.9 * precision + 0.1 * recall)
    assert scores.value == pytest.approx(mean * (1 - 0.5 * (2 / 3) ** 3))


def test_empty_texts_score_nothing():
    assert [score.value for score in text_overlap([[], ["heart"], []], [["heart"], [], []])] == [0, 0, 0]


def test_what_computed_a_score_is_named():
    *rouges, meteors = [score.implementation for score in text_overlap([["heart"]], [["heart"]])]
    assert all(f"rouge-score {version('rouge-score')}" in text and "stemmer" in text for text in rouges)
    assert f"nltk {version('nltk')}" in meteors and "no WordNet" in meteors


def write_wordnet(folder):
    """A WordNet in its own format that holds one set of synonyms: mass, lump."""
    kinds = ("adj", "adv", "verb", "noun")
    files = {name: "" for kind in kinds for name in (f"index.{kind}", f"data.{kind}", f"{kind}.exc")}
    files |= {"index.sense": "", "lexnames": "00\tnoun.Tops\t1\n"}
    files["data.noun"] = "00000000 00 n 02 mass 0 lump 0 000 | a swelling\n"
    files["index.noun"] = "lump n 1 0 1 0 00000000\nmass n 1 0 1 0 00000000\n"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content)


def test_with_wordnet_synonyms_match_and_the_name_says_so(tmp_path):
    said, truth = [["left mass"]], [["left lump"]]
    without = meteor(said, truth)
    write_wordnet(tmp_path / "corpora" / "wordnet")
    scores = meteor(said, truth)
    assert without.name == "meteor_exact_stem" and without.value == pytest.approx(0.5 * (1 - 0.5))
    assert scores.name == "meteor" and scores.value == pytest.approx(1 - 0.5 * (1 / 2) ** 3)
    assert re.search(", WordNet$", scores.implementation)


@pytest.mark.parametrize("damage", ["lexnames", "index.noun"])
def test_a_damaged_wordnet_is_no_missing_one(damage, tmp_path):
    write_wordnet(tmp_path / "corpora" / "wordnet")
    (tmp_path / "corpora" / "wordnet" / damage).write_text("torn")
    with pytest.raises(UserError, match="NLTK's data holds a WordNet that cannot be read"):
        meteor([["left mass"]], [["left lump"]])


@pytest.mark.parametrize("compare", [text_overlap, lambda said, truth: set_agreement(said, truth, equal)])
def test_no_study_is_refused(compare):
    with pytest.raises(UserError, match="no study"):
        compare([], [])

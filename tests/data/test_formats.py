"""Every format of `data.formats` has its tests: an example here, or a file of them."""

import json
from pathlib import Path

import pytest

from ecor_jax.data import formats
from ecor_jax.data.concept_sets import read_concepts
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.vocabulary import Vocabulary

ROOT = Path(__file__).parents[2]
FISH = {"n01": {"name": "Tench", "rationales": ["a large fish"]}}
NOSES = {"about": "x", "groups": {"nose": ["a long nose", " A short nose "], "hair": ["long", "short"]}}
ROWS = ("Class,n,Descriptor", 'cat,1,"fur, soft"', "dog,2,a tail", "cat,3,a tail")
FEATURES = {"cat": ("fur, soft", "a tail"), "dog": ("a tail",)}
LINES = ["a head, tail", "two legs"]


def lists_of(path: Path) -> dict[str, tuple[str, ...]]:
    words = Vocabulary.from_file(path)
    return {name: words.rationales_of(number) for number, name in enumerate(words.classes)}


def groups_of(path: Path) -> dict[str, list[str]]:
    return Descriptors.from_file(path).as_groups()


TEXTS = [
    ("JSON of classes", '{"Cat": ["a tail", "fur"]}', lists_of, {"cat": ("a tail", "fur")}),
    ("JSON of classes", '{"a": ["b", "c"]}', groups_of, {"a": ["b", "c"]}),
    ("JSON of folders", json.dumps(FISH), lists_of, {"tench": ("a large fish",)}),
    (
        "JSON of groups",
        json.dumps(NOSES),
        groups_of,
        {"nose": ["a long nose", "A short nose"], "hair": ["long", "short"]},
    ),
    ("CSV or TSV", "\n".join(ROWS), lists_of, FEATURES),
    ("CSV or TSV", "\n".join(row.replace(",", "\t", 2) for row in ROWS), lists_of, FEATURES),
    ("a text a line", "a head, tail\n\n  two legs \n", read_concepts, LINES),
    ("a text a line", json.dumps(LINES), read_concepts, LINES),
    ("a text a line", "\n".join(LINES), lambda path: [*Descriptors.from_file(path).phrases], LINES),
]
ELSEWHERE = {
    **dict.fromkeys(("JPEG", "PNG", "BMP", "WebP", "GIF", "PPM, PGM, PBM", "TIFF", "AVIF"), "data/test_decode.py"),
    "DICOM": "data/test_dicom.py",
    "arrays, in Python": "data/test_decode.py",
    "folder or zip of classes": "data/test_images.py",
    "label.txt": "data/test_labelled_list.py",
    "RecordIO": "data/test_recordio.py",
    "ArrayRecord": "data/test_prepare.py",
    "TFDS": "data/test_tfds_sets.py",
    "NIH ChestX-ray14": "radiology/xray/test_nih.py",
    "MIMIC-CXR-JPG": "radiology/xray/test_mimic.py",
    ".bin": "data/test_pair_sets.py",
    "pairs.txt": "data/test_pair_sets.py",
    "pairs.csv": "data/test_pair_sets.py",
    "Hugging Face directory": "checkpoints/test_huggingface.py",
    "OpenCLIP directory": "checkpoints/test_openclip.py",
    "OpenAI's file": "checkpoints/test_openai.py",
}


@pytest.mark.parametrize(("name", "text", "read", "expected"), TEXTS)
def test_concepts_are_read(name, text, read, expected, tmp_path):
    (tmp_path / "x").write_text(text)
    assert read(tmp_path / "x") == expected


def test_every_format_has_its_tests():
    names = [entry.name for entry in formats.FORMATS]
    tested = {*ELSEWHERE, *(name for name, *_ in TEXTS)}
    assert len(set(names)) == len(names) and set(names) == tested
    assert all((ROOT / "tests" / path).is_file() for path in ELSEWHERE.values())


def test_the_page_is_made_of_the_table():
    assert (ROOT / "docs" / "formats.md").read_text() == formats.as_page()

import json
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.data.vocabulary import Vocabulary, match, normalise_name
from ecor_jax.errors import UserError

# Of DROR's published files: classes, empty ones, rationales, gold pairs, rationales shared by 2+ classes.
TABLE = {
    ("cifar10_text", " or "): (10, 0, 56, 63, 5),
    ("cifar100_text", " or "): (100, 2, 461, 540, 49),
    ("food101_text", " or "): (101, 11, 399, 435, 30),
    ("caltech101_text", " or "): (100, 4, 459, 516, 37),
    ("SUN_text", " "): (397, 1, 1700, 2167, 166),
    ("Our_ImageNet_attribute", " "): (997, 0, 4246, 5809, 487),
}


def write(folder, content, name="rationales.json") -> str:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(folder / name)


def pairs(vocabulary: Vocabulary) -> set[tuple[str, str]]:
    return {(vocabulary.classes[c], vocabulary.rationales[r]) for c, r in np.argwhere(vocabulary.gold)}


NORMALISED = {
    "Faces_easy": "faces easy",
    "black-tipped tail": "black tipped tail",
    "inn/outdoor": "inn or outdoor",
    "  Two\t__spaces--here \n": "two spaces here",
    "_-_": "",
    unicodedata.normalize("NFD", "Café_Crème"): "café crème",
}


@pytest.mark.parametrize("name", NORMALISED)
def test_normalise_name(name):
    assert normalise_name(name) == NORMALISED[name]


@given(st.text(st.characters(codec="utf-8")) | st.just("İ"))
def test_normalising_twice_changes_nothing(name):
    assert normalise_name(normalise_name(name)) == normalise_name(name)
    assert normalise_name("inn/outdoor", slash="  ") == normalise_name("inn/outdoor", slash=" ") == "inn outdoor"


@pytest.mark.parametrize(("file", "slash"), TABLE)
def test_published_vocabularies_have_their_known_sizes(shared_data, file, slash):
    words = Vocabulary.from_file(shared_data / "rationales" / f"{file}.json", slash)
    sizes = (len(words.classes), len(words.empty_classes()), len(words.rationales), words.gold.sum())
    assert (*sizes, len(words.shared())) == TABLE[file, slash]
    if file == "Our_ImageNet_attribute":
        assert len(words.leakage()) == 98 and ("wing", "wings are used for flying") in words.leakage()
        assert words.gold.sum(axis=0).max() == 46


def test_gold_is_many_to_many_in_the_order_of_the_file(tmp_path):
    path = write(tmp_path, {"Dog_A": ["a Tail", "four-legs", "a tail"], "fish": ["fins", "a tail"], "bee": []})
    vocabulary = Vocabulary.from_file(path)
    assert vocabulary.classes == ("dog a", "fish", "bee")
    assert vocabulary.rationales == ("a tail", "four legs", "fins")
    np.testing.assert_array_equal(vocabulary.gold, [[1, 1, 0], [1, 0, 1], [0, 0, 0]])
    assert vocabulary.empty_classes() == ("bee",)
    assert vocabulary.shared() == ("a tail",)
    assert vocabulary.rationales_of(1) == ("a tail", "fins")
    # Nested attributes become a rationale each.
    path = write(tmp_path, {"plane": [{"metal body": ["smooth", "Long"]}, {"windows": []}, "a tail"]})
    expected = ("metal body that has smooth", "metal body that has long", "windows", "a tail")
    assert Vocabulary.from_file(path).rationales == expected
    # A class given twice, once with an empty list, counts once.
    vocabulary = Vocabulary.from_file(write(tmp_path, '{"coyote": [], "fox": ["ears"], "coyote": ["fur"]}'))
    assert vocabulary.classes == ("coyote", "fox")
    assert pairs(vocabulary) == {("coyote", "fur"), ("fox", "ears")}


def test_describe_counts_everything():
    vocabulary = Vocabulary.from_lists({"bee": ["bees have wings"], "wing": ["bees have wings", "flat"]})
    assert set(vocabulary.leakage()) == {("bee", "bees have wings"), ("wing", "bees have wings")}
    assert Vocabulary.from_lists({"dog": ["a cat's tail"], "cat": ["fur"]}).leakage() == ()
    lists = {"bee": ["bees buzz", "wings"], "bird": ["wings"], "stone": []}
    assert Vocabulary.from_lists(lists).describe() == (
        "3 classes, 2 rationales, 3 gold pairs; 1 rationales belong to two classes or more; "
        "1 rationales contain the name of their class; 1 classes have no rationale ('stone')."
    )


WORDS = st.text("abc xé", min_size=1).map(normalise_name).filter(bool)


@given(lists=st.dictionaries(WORDS, st.lists(WORDS), min_size=1).filter(lambda lists: any(lists.values())))
def test_json_round_trip_keeps_classes_and_pairs(tmp_path_factory, lists):
    vocabulary = Vocabulary.from_lists(lists)
    again = Vocabulary.from_file(write(tmp_path_factory.mktemp("round"), vocabulary.to_json()))
    assert again.classes == vocabulary.classes == tuple(lists)
    assert pairs(again) == pairs(vocabulary) == {(name, text) for name in lists for text in lists[name]}


MISSILES = {folder: {"name": "missile", "rationales": ["a tube"]} for folder in ("n03773504", "n04008634")}
LIST = "expected a list of rationales, found"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"dog": ["tail"],}', "not JSON: .*line 1 column 1[78]"),
        ("", "not JSON"),
        ([["tail"]], "entry 1 is a list; expected a text"),
        ("null", "entry 1 is null; expected a text"),
        ({}, "it has no class"),
        ({"dog": [], "cat": []}, "no class has a rationale"),
        ({"dog": "tail"}, f"class 'dog': {LIST} \"tail\""),
        ({"dog": {"tail": ["long"]}}, f"class 'dog': {LIST} an object"),
        ({"dog": ["tail", 3]}, "class 'dog': expected a rationale in words, found 3"),
        ({"dog": ["tail", " _ "]}, "class 'dog': a rationale is empty"),
        ({"dog": [{"tail": "long"}]}, "class 'dog', part 'tail': expected a list of attributes, found \"long\""),
        ({"-": ["tail"]}, "class '-' has an empty name"),
        ({"Big_Dog": ["tail"], "big dog": ["fur"]}, "'Big_Dog' and 'big dog' are the same, 'big dog'"),
        ('{"dog": ["tail"], "dog": ["fur"]}', "class 'dog' is given twice"),
        # ImageNet has two missiles.
        (MISSILES, "folders 'n03773504' and 'n04008634' have one class name, 'missile'; tell"),
        # All faults of a file are told at once.
        ({"dog": [""], "cat": None, "bee": [1]}, "is empty.*found null.*found 1"),
    ],
)
def test_bad_files_name_the_file_and_the_fault(tmp_path, content, message):
    with pytest.raises(UserError, match=message) as error:
        Vocabulary.from_file(write(tmp_path, content))
    assert "rationales.json" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("class,concept,label\ncat,fur,x\n", "several columns could be meant, class, label, concept; keep two"),
        ("class,concept\ncat,\n", r"line 2: found \['cat', ''\]; expected a class and a descriptor"),
        ("class,concept\ncat,fur,soft\n", "line 2: found 3 cells; expected 2"),
        ("fur\ntail\n", "found 2 texts without classes"),
        ("", "expected JSON {class"),
        ("a\tb\n", "expected JSON {class"),
    ],
)
def test_tables_and_texts_that_are_no_vocabulary(tmp_path, content, message):
    with pytest.raises(UserError, match=rf"rationales\.csv.*{message}"):
        Vocabulary.from_file(write(tmp_path, content, "rationales.csv"))


VOCABULARY = Vocabulary.from_lists({"dog": ["tail"], "cat": ["fur"], "stone": [], "bee": ["wings"]})


def test_match_lists_every_difference_by_kind():
    with pytest.raises(UserError) as error:
        match(VOCABULARY, ("cat", "dog", "car", "bus", "stone"))
    assert "2 image classes that are not in the rationale file: car, bus" in str(error.value)
    assert "1 image classes with an empty list of rationales: stone" in str(error.value)
    assert "1 classes of the rationale file with no image: bee" in str(error.value)
    assert "--config.data.on_missing=allow" in str(error.value)


def test_match_may_allow_differences():
    matched = match(VOCABULARY, ("cat", "dog", "car", "stone"), "allow")
    assert (matched.left_out, matched.without_images) == (("car", "stone"), ("bee",))
    assert matched.describe() == (
        "2 image classes left out, no rationales: car, stone; 1 classes of the vocabulary have no image: bee"
    )
    assert match(Vocabulary.from_lists({"dog": ["tail"], "cat": ["fur"]}), ("cat", "dog")).describe() == ""
    with pytest.raises(UserError, match=r"no class of the images has rationales: images of 'car', 'stone'"):
        match(VOCABULARY, ("car", "stone"), "allow")


def test_classes_of_other_vocabularies_until_there_are_so_many_pairs():
    own = Vocabulary.from_lists({"cat": ["fur", "a tail"], "dog": ["fur"]})
    others = [
        Vocabulary.from_lists({"dog": ["a leash"], "bee": ["wings"], "cow": ["fur", "horns"]}),
        Vocabulary.from_lists({"bee": ["stripes"], "car": ["wheels"]}),
    ]
    assert own.with_classes(others, 4, seed=0).classes == own.classes
    found = own.with_classes(others, 5, seed=0)
    assert len(found.classes) * len(found.rationales) >= 5 and found.classes[:2] == own.classes
    assert found.rationales[:2] == own.rationales and found.rationales_of(1) == ("fur",)
    whole = own.with_classes(others, 25, seed=0)
    assert set(whole.classes) == {"cat", "dog", "bee", "cow", "car"}  # a dog is known already
    assert set(whole.rationales_of(whole.classes.index("cow"))) == {"fur", "horns"}
    orders = {own.with_classes(others, 25, seed=seed).classes for seed in range(8)}
    assert len(orders) > 1 and own.with_classes(others, 25, seed=0).classes == whole.classes
    with pytest.raises(
        UserError, match=r"data\.pairs is 100; 5 classes and 5 rationales, with all of data\.distractors"
    ):
        own.with_classes(others, 100, seed=0)

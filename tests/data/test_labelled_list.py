import pickle
import re

import pytest

from ecor_jax.data.images import open_images, splits_of
from ecor_jax.errors import UserError

CROPS = {"images/1.jpg": "one", "images/2.jpg": "two", "images/3.jpg": "three"}


@pytest.mark.parametrize("top", ["", "a/b/"])
def test_the_list_says_classes_and_order(make, top):
    lines = "images/3.jpg\tAnna_B\r\n./images/1.jpg\t7\n\nimages/2.jpg\tAnna_B|The_Dog"
    path = make({f"{top}{name}": content for name, content in {**CROPS, "label.txt": lines}.items()})
    source = open_images(path)
    assert source.categories == ("anna b", "7", "anna b|the dog")
    assert source[0] == {"image": b"three", "category": "anna b", "rationales": (), "name": f"{top}images/3.jpg"}
    assert [pickle.loads(pickle.dumps(source))[index]["image"] for index in range(3)] == [b"three", b"one", b"two"]
    assert splits_of(path) == ()


def test_a_list_in_one_of_several_folders_is_not_the_list(make):
    path = make({**CROPS, "other/4.jpg": "four", "images/label.txt": "1.jpg\tx"})
    assert open_images(path).categories == ("images", "images", "images", "other")


def test_splits_of_a_tree_with_a_list(make):
    path = make({"train/1.jpg": "one", "test/2.jpg": "two", "label.txt": "train/1.jpg\tx\ntest/2.jpg\ty"})
    assert splits_of(path) == () and open_images(path).classes == ("x", "y")
    with pytest.raises(UserError, match=r"has no split 'train': label\.txt lists all its images"):
        open_images(path, split="train")


THIRTEEN = "".join(f"no/{number:02}.jpg\t0\n" for number in range(13))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("images/1.jpg\t0\nimages/2.jpg 1", "line 2: found 'images/2.jpg 1'; expected path<TAB>class"),
        ("\n\t0", r"line 2: found '\\t0'"),
        ("images/1.jpg\t0\nimages/2.jpg\t1\nimages/1.jpg\t0", "line 3: images/1.jpg was given in line 1 already"),
        ("images/1.jpg\tA_b\nimages/2.jpg\ta b", "'A_b' and 'a b' are the same, 'a b', once normalised"),
        (" \n", "is empty; expected lines path<TAB>class"),
        ("images/1.jpg\t0\nimages/9.jpg\t0\n../1.jpg\t1", "names 2 images that do not exist: images/9.jpg, ../1.jpg$"),
        (THIRTEEN, r"names 13 images that do not exist: no/00\.jpg, .*, no/09\.jpg and 3 more$"),
    ],
)
def test_a_list_that_does_not_fit(make_folder, lines, message):
    path = make_folder({**CROPS, "label.txt": lines})
    with pytest.raises(UserError, match=f"{re.escape(str(path))}: label.txt[,:]? {message}"):
        open_images(path)


def test_the_crops_at_hand(shared_data):
    source = open_images(shared_data / "faces" / "aligned_crops.zip")
    assert source.categories == tuple("0123456789")
    assert source[3]["name"] == "images/00000213.jpg" and source[3]["image"].startswith(b"\xff\xd8")

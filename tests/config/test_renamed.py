"""Options with commas in them."""

import pytest

from ecor_jax.config.options import comma_list, path_list


@pytest.mark.parametrize(
    ("text", "expected"), [("", ()), ("a", ("a",)), (" a b , c,,", ("a b", "c")), (",", ()), ("a,a", ("a", "a"))]
)
def test_items_between_commas(text, expected):
    assert comma_list(text) == expected


def test_paths_may_have_commas_in_their_names(tmp_path):
    for name in ("a", "b", "a,b", "c,d"):
        (tmp_path / name).mkdir()
    a, b, both, c = (str(tmp_path / name) for name in ("a", "b", "a,b", "c,d"))
    assert path_list(a) == (a,)
    assert path_list(both) == (both,)  # though /a is there
    assert path_list(c) == (c,)
    assert path_list(f"{b}, {a}") == (b, a)
    assert path_list(f"{b},{tmp_path}/none") == (b, f"{tmp_path}/none")  # opening it names the one that is missing
    nothing = f"{tmp_path}/no,where"
    assert path_list(nothing) == (nothing,)
    assert path_list("tfds:pets/small, tfds:birds") == ("tfds:pets/small", "tfds:birds")

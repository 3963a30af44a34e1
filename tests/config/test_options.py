"""Options: a dataclass's annotations say what is allowed, and everything else is named before a run begins."""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest

from ecor_jax.config.options import Within, check_template, comma_list, defaults, path_list, read
from ecor_jax.errors import UserError
from ecor_jax.tasks.base import TASKS, task_of
from ecor_jax.tasks.rationale.options import RationaleOptions
from ecor_jax.tasks.verification.options import VerificationOptions


def annotations(kind: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every option of a dataclass, and of the groups in it."""
    for name, hint in get_type_hints(kind, include_extras=True).items():
        groups = [part for part in (hint, *get_args(hint)) if dataclasses.is_dataclass(part)]
        for group in groups:
            yield from annotations(group, f"{prefix}{name}.")
        if not groups:
            yield prefix + name, hint


@pytest.mark.parametrize("task", TASKS)
def test_every_number_has_a_range(task):
    for name, hint in annotations(task_of(task).Options):
        bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if bare in (int, float):
            assert any(isinstance(extra, Within) for extra in get_args(hint)), name


def test_what_a_config_lacks_is_at_its_default():
    options = read(RationaleOptions, {"steps": 7, "data": {"images": "photos", "train_count": 3}})
    data = dataclasses.replace(RationaleOptions().data, images="photos", train_count=3)
    assert options == dataclasses.replace(RationaleOptions(), steps=7, data=data)
    assert read(RationaleOptions, {"method": " clip, ecor,clip ,"}).method == ("clip", "ecor")
    assert read(VerificationOptions, {"pairs": {"lfw": {"path": "lfw.bin"}}}).pairs["lfw"].images == ""


RANGE = r"expected [\d,.e+-]+ to [\d,.e+-]+"
REFUSED = [
    ("seed", -1, RANGE),
    ("data.seed", 2**32, RANGE),
    ("steps", 0, RANGE),
    ("loss.pair_weight", -1.0, RANGE),
    ("loss.outer_weight", math.nan, RANGE),
    ("optimizer.learning_rate", math.inf, RANGE),
    ("prompts.count", 10**5, RANGE),
    ("evaluation.batch_size", 10**6, RANGE),
    ("report.pictures", True, "expected int"),
    ("log_every", 2.5, "expected int"),
    ("data.images", 3, "expected str"),
    ("data", "photos", "expected a group of options"),
    ("evaluation.mode", "kind", "expected one of strict, dror"),
    ("templates.pair", "{x}", r"expected \{c\} and \{r\} as the only braces"),
]


@pytest.mark.parametrize(("name", "value", "expected"), REFUSED)
def test_what_is_not_allowed_is_named(name, value, expected):
    given = functools.reduce(lambda inner, key: {key: inner}, reversed(name.split(".")), value)
    with pytest.raises(UserError, match=rf"^{name} is .*; {expected}"):
        read(RationaleOptions, given)


@pytest.mark.parametrize("given", [{"colour": 1}, {"data": {"colour": 1}}, {"pretrain": {"data": {"colour": 1}}}])
def test_an_option_that_does_not_exist(given: Mapping):
    with pytest.raises(UserError, match=r"^--config\.(data\.|pretrain\.data\.)?colour: no such option; there are: "):
        read(RationaleOptions, given)


@pytest.mark.parametrize("template", ["{c.__class__}", "{c:>999999999}", "{c!r}", "{d}", "{", "{{c}}", "{}", "{0}", 3])
def test_a_template_has_its_letters_in_braces_and_nothing_else(template):
    check_template("{c} and {r}, {c}", "cr", "templates.pair")
    with pytest.raises(UserError, match=r"templates\.pair is .*; expected \{c\} and \{r\} as the only braces"):
        check_template(template, "cr", "templates.pair")


def test_defaults_are_a_config_that_can_be_changed():
    config = defaults(RationaleOptions)
    config.steps, config.data.images = 5, "photos"
    assert (config.method, config.pretrain.to_dict()) == ("clip,dror,ecor", {})
    assert read(RationaleOptions, config).data.images == "photos" and defaults(RationaleOptions).steps == 300


@pytest.mark.parametrize(
    ("text", "expected"), [("", ()), ("a", ("a",)), (" a b , c,,", ("a b", "c")), (",", ()), ("a,a", ("a", "a"))]
)
def test_items_between_commas(text, expected):
    assert comma_list(text) == expected


def test_paths_may_have_commas_in_their_names(tmp_path):
    for name in ("a", "b", "a,b", "c,d"):
        (tmp_path / name).mkdir()
    a, b, both, c = (str(tmp_path / name) for name in ("a", "b", "a,b", "c,d"))
    for whole in (a, both, c, f"{tmp_path}/no,where"):  # though /a is there
        assert path_list(whole) == (whole,)
    assert path_list(f"{b}, {a}") == (b, a)
    assert path_list(f"{b},{tmp_path}/none") == (b, f"{tmp_path}/none")  # opening it names the one that is missing
    assert path_list("tfds:pets/small, tfds:birds") == ("tfds:pets/small", "tfds:birds")

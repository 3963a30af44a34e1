"""Every number of every config is in a range, and what is outside is named before a run begins."""

import math
from pathlib import Path

import pytest

from configs import common
from ecor_jax.errors import UserError
from ecor_jax.options import check_numbers, check_template, numbers, range_of
from launch.cli import read_config

CONFIGS = [path for path in sorted(Path(common.__file__).parent.glob("*.py")) if "def get_config(" in path.read_text()]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_number_of_a_config_has_a_range_and_is_in_it(path):
    config = read_config(path)
    assert not [name for name, _ in numbers(config) if range_of(name) is None]
    check_numbers(config)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("data.seed", 2**32),
        ("steps", 0),
        ("log_every", 0),
        ("loss.pair_weight", -1.0),
        ("loss.outer_weight", math.nan),
        ("optimizer.learning_rate", math.inf),
        ("prompts.count", 10**5),
        ("evaluation.batch_size", 10**6),
        ("report.pictures", -1),
    ],
)
def test_a_number_out_of_its_range_is_named(name, value):
    config = common.rationale()
    parent, _, key = name.rpartition(".")
    group = config[parent] if parent else config
    with group.ignore_type():
        group[key] = value
    with pytest.raises(UserError, match=rf"{name} is {value}; expected [\d,.]+ to [\d,.]+"):
        check_numbers(config)


@pytest.mark.parametrize("template", ["{c.__class__}", "{c:>999999999}", "{c!r}", "{d}", "{", "{{c}}", "{}", "{0}", 3])
def test_a_template_has_its_letters_in_braces_and_nothing_else(template):
    check_template("{c} and {r}, {c}", "cr", "templates.pair")
    with pytest.raises(UserError, match=r"templates\.pair is .*; expected \{c\} and \{r\} as the only braces"):
        check_template(template, "cr", "templates.pair")

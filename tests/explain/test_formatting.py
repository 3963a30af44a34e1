import pytest

from ecor_jax.explain.formatting import duration, number, percent, percent_range


@pytest.mark.parametrize(
    ("share", "written"),
    [
        (0.0, "0.0%"), (1.0, "100.0%"), (0.4213, "42.1%"), (0.00123, "0.1%"), (0.00042, "0.04%"),
        (0.00005, "<0.01%"), (float("nan"), "\N{EN DASH}"),
    ],
)  # fmt: skip
def test_percent(share, written):
    assert percent(share) == written


def test_percent_range():
    assert percent_range((0.34, 0.3625)) == "34.0% to 36.2%"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.04, "0.0 s"), (3.21, "3.2 s"), (59.97, "1 min 0 s"), (75.2, "1 min 15 s"), (3599.6, "1 h 0 min"),
        (7270, "2 h 1 min"),
    ],
)  # fmt: skip
def test_duration(seconds, written):
    assert duration(seconds) == written


@pytest.mark.parametrize(
    ("value", "written"), [(0.01234, "0.0123"), (4.5678, "4.57"), (-2.0, "-2"), (1234.5, "1,234"), (0.0, "0")]
)
def test_number(value, written):
    assert number(value) == written

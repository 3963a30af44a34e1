import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.pages.numbers import (
    duration,
    known,
    number,
    percent,
    plain,
    probability,
    share,
    signed,
    significant_decimals,
    telling_decimals,
)

MINUS = "\N{MINUS SIGN}"
UNIT = st.floats(0, 1)


@pytest.mark.parametrize(
    ("write", "value", "written"),
    [
        (percent, 0.0, "0.0%"), (percent, 1.0, "100.0%"), (percent, 0.4213, "42.1%"), (percent, 0.00123, "0.1%"),
        (percent, 0.00042, "0.04%"), (percent, 0.00005, "<0.01%"), (percent, float("nan"), "\N{EN DASH}"),
        (duration, 0.04, "0.0 s"), (duration, 3.21, "3.2 s"), (duration, 59.97, "1 min 0 s"),
        (duration, 75.2, "1 min 15 s"), (duration, 3599.6, "1 h 0 min"), (duration, 7270, "2 h 1 min"),
        (number, 0.01234, "0.0123"), (number, 4.5678, "4.57"), (number, -2.0, "-2"), (number, 1234.5, "1,234"),
        (number, 0.0, "0"),
    ],
)  # fmt: skip
def test_written(write, value, written):
    assert write(value) == written


def test_signs():
    assert [signed(value, 2) for value in (0.421, -0.421, 0.0, 0.001, -0.001)] == [
        "+0.42", f"{MINUS}0.42", "0.00", "0.00", "0.00",
    ]  # fmt: skip
    assert [plain(value, 1) for value in (0.42, -0.42, -0.01)] == ["0.4", f"{MINUS}0.4", "0.0"]
    assert share(0.4213, 1) == "42.1%" and share(1 / 6, 3) == "16.667%"
    assert [known(value) for value in (0.0, None, float("nan"), float("inf"))] == [True, False, False, False]


@pytest.mark.parametrize(
    ("couples", "decimals"),
    [
        ([], 1), ([(0.5, 0.5)], 1), ([(10.0, 10.4)], 1), ([(33.41, 33.42)], 2), ([(1.0, 2.0), (16.667, 16.668)], 3),
        ([(1.0, 1.0 + 1e-9)], 5),
    ],
)  # fmt: skip
def test_as_many_decimals_as_tell_numbers_apart(couples, decimals):
    assert telling_decimals([first for first, _ in couples], [second for _, second in couples], 1, 5) == decimals


@given(st.lists(st.tuples(UNIT, UNIT), max_size=6))
def test_fewer_decimals_would_not_do(couples):
    decimals = telling_decimals([first for first, _ in couples], [second for _, second in couples], 1, 5)
    different = [(first, second) for first, second in couples if first != second]
    assert decimals == 5 or all(f"{first:.{decimals}f}" != f"{second:.{decimals}f}" for first, second in different)
    if decimals > 1:
        assert any(f"{first:.{decimals - 1}f}" == f"{second:.{decimals - 1}f}" for first, second in different)


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([], 2), ([0.0], 2), ([0.118, -0.002], 3), ([-0.0135, 0.01], 4), ([12.5], 2), ([1e-12], 9)],
)
def test_three_significant_digits_for_the_largest(values, decimals):
    assert significant_decimals(values, digits=3) == decimals


@pytest.mark.parametrize(
    ("value", "threshold", "written"),
    [(0.832, 0.5, "0.83"), (0.8320184, 0.832, "0.83202"), (1 - 1e-9, 0.5, "above 0.99"), (1e-9, 0.5, "below 0.01")],
)
def test_no_probability_is_rounded_to_certainty_or_to_the_threshold(value, threshold, written):
    assert probability(value, threshold) == f"probability {written}"

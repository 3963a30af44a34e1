import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.explain.pair_numbers import plain, share, signed, significant_decimals, telling_decimals

UNIT = st.floats(0, 1)


@pytest.mark.parametrize(
    ("couples", "decimals"),
    [
        ([], 1), ([(0.5, 0.5)], 1), ([(10.0, 10.4)], 1), ([(33.41, 33.42)], 2), ([(1.0, 2.0), (16.667, 16.668)], 3),
        ([(1.0, 1.0 + 1e-9)], 5),
    ],
)  # fmt: skip
def test_as_many_decimals_as_tell_numbers_apart(couples, decimals):
    assert telling_decimals(couples, least=1, most=5) == decimals


@given(st.lists(st.tuples(UNIT, UNIT), max_size=6))
def test_fewer_decimals_would_not_do(couples):
    decimals = telling_decimals(couples, least=1, most=5)
    apart = [len({f"{one:.{decimals}f}", f"{other:.{decimals}f}"}) == 2 for one, other in couples if one != other]
    assert decimals == 5 or all(apart)
    if decimals > 1:
        assert any(one != other and f"{one:.{decimals - 1}f}" == f"{other:.{decimals - 1}f}" for one, other in couples)


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([], 2), ([0.0], 2), ([0.118, -0.002], 3), ([-0.0135, 0.01], 4), ([12.5], 2), ([1e-12], 9)],
)
def test_three_significant_digits_for_the_largest(values, decimals):
    assert significant_decimals(values, digits=3) == decimals


def test_signs():
    assert [signed(value, 2) for value in (0.421, -0.421, 0.0, 0.001, -0.001)] == [
        "+0.42", "\N{MINUS SIGN}0.42", "0.00", "0.00", "0.00",
    ]  # fmt: skip
    assert [plain(value, 1) for value in (0.42, -0.42, -0.01)] == ["0.4", "\N{MINUS SIGN}0.4", "0.0"]
    assert share(0.4213, 1) == "42.1%" and share(1 / 6, 3) == "16.667%"

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.pages import numbers
from ecor_jax.pages.numbers import telling_decimals

MINUS = "\N{MINUS SIGN}"
UNIT = st.floats(0, 1)
# By function: what it is called with, and what it writes.
WRITTEN = {
    "percent": {
        (0.0,): "0.0%", (1.0,): "100.0%", (0.4213,): "42.1%", (0.00123,): "0.1%", (0.00042,): "0.04%",
        (0.00005,): "<0.01%", (float("nan"),): "\N{EN DASH}",
    },
    "duration": {
        (0.04,): "0.0 s", (3.21,): "3.2 s", (59.97,): "1 min 0 s", (75.2,): "1 min 15 s", (3599.6,): "1 h 0 min",
        (7270,): "2 h 1 min",
    },
    "number": {(0.01234,): "0.0123", (4.5678,): "4.57", (-2.0,): "-2", (1234.5,): "1,234", (0.0,): "0"},
    "signed": {(0.42, 2): "+0.42", (-0.42, 2): f"{MINUS}0.42", (0.0, 1): "0.0", (0.01, 1): "0.0", (-0.01, 1): "0.0"},
    "plain": {(0.42, 1): "0.4", (-0.42, 1): f"{MINUS}0.4", (-0.01, 1): "0.0"},
    "share": {(0.4213, 1): "42.1%", (1 / 6, 3): "16.667%"},
    "known": {(0.0,): True, (None,): False, (float("nan"),): False, (float("inf"),): False},
    # No probability is rounded to certainty, or to the threshold.
    "probability": {
        (0.832, 0.5): "probability 0.83", (0.8320184, 0.832): "probability 0.83202",
        (1 - 1e-9, 0.5): "probability above 0.99", (1e-9, 0.5): "probability below 0.01",
    },
    # Three significant digits for the largest.
    "significant_decimals": {
        ((), 3): 2, ((0.0,), 3): 2, ((0.118, -0.002), 3): 3, ((-0.0135, 0.01), 3): 4, ((12.5,), 3): 2, ((1e-12,), 3): 9,
    },
    # As many decimals as tell numbers apart.
    "telling_decimals": {
        ((), (), 1, 5): 1, ((0.5,), (0.5,), 1, 5): 1, ((10.0,), (10.4,), 1, 5): 1, ((33.41,), (33.42,), 1, 5): 2,
        ((1.0, 16.667), (2.0, 16.668), 1, 5): 3, ((1.0,), (1.0 + 1e-9,), 1, 5): 5,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("function", "given_", "written"),
    [(function, *entry) for function, entries in WRITTEN.items() for entry in entries.items()],
)
def test_written(function, given_, written):
    assert getattr(numbers, function)(*given_) == written


@given(st.lists(st.tuples(UNIT, UNIT), max_size=6))
def test_fewer_decimals_would_not_do(couples):
    decimals = telling_decimals([first for first, _ in couples], [second for _, second in couples], 1, 5)
    different = [(first, second) for first, second in couples if first != second]
    assert decimals == 5 or all(f"{first:.{decimals}f}" != f"{second:.{decimals}f}" for first, second in different)
    if decimals > 1:
        assert any(f"{first:.{decimals - 1}f}" == f"{second:.{decimals - 1}f}" for first, second in different)

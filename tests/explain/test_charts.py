import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.explain.charts import bar, drawable, line_chart, outcome_parts, reliability_chart, ticks
from ecor_jax.explain.records import Outcomes, ReliabilityBin

FINITE = st.floats(-1e9, 1e9)


def points(chart, class_: str) -> list[tuple[float, float]]:
    (line,) = chart.all("polyline", class_=class_)
    pairs = (point.split(",") for point in line.attributes["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


def test_parts_of_a_bar_lie_end_to_end_and_are_as_wide_as_their_shares(parse):
    outcomes = Outcomes(rr=0.5, rw=0.25, wr=0.05, ww=0.2, count=20)
    root = parse(bar(outcome_parts(outcomes), height=9, label="shares"))
    drawn = [(one.attributes["class"], one.attributes["x"], one.attributes["width"]) for one in root.all("rect")]
    assert drawn == [
        ("rr", "0.00%", "50.00%"), ("rw", "50.00%", "25.00%"), ("wr", "75.00%", "5.00%"),
        ("ww", "80.00%", "20.00%"),
    ]  # fmt: skip
    assert [one.text() for one in root.all("text")] == ["50%", "25%", "20%"], "5% is too narrow for its number"


def test_a_bar_without_label_is_decoration(parse):
    (svg,) = parse(bar([(0.4, "rr"), (0.0, "rw"), (math.nan, "ww")], height=9)).all("svg")
    assert svg.attributes["aria-hidden"] == "true"
    assert len(svg.all("rect")) == 1
    assert not svg.all("text")


@given(FINITE, st.floats(1e-6, 1e9))
def test_ticks_are_few_round_evenly_spaced_and_inside(low, width):
    high = low + width
    if (high - low) < 1e-6 * abs(low):
        return
    found = ticks(low, high)
    assert 1 <= len(found) <= 6
    slack = 1e-6 * (high - low) + 1e-9 * abs(low)
    assert low - slack <= found[0] and found[-1] <= high + slack
    if len(found) > 1:
        step = found[1] - found[0]
        assert all(abs(b - a - step) <= 1e-6 * step + 1e-6 * slack for a, b in pairwise(found))


def test_ticks_of_the_unit_interval():
    assert ticks(0.0, 1.0) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_a_falling_curve_goes_right_and_down_within_the_drawing(parse):
    drawn = points(parse(line_chart([(0, 3.0), (10, 2.0), (30, 1.0)], "loss", "falls", from_zero=False)), "curve")
    (x0, y0), (x1, y1), (x2, y2) = drawn
    assert 0 < x0 < x1 < x2 < 340 and 0 < y0 < y1 < y2 < 220
    assert (x2 - x0) == pytest.approx(3 * (x1 - x0), abs=0.3)
    assert (y2 - y0) == pytest.approx(2 * (y1 - y0), abs=0.3)


def test_a_chart_from_zero_keeps_proportions(parse):
    root = parse(line_chart([(0, 50.0), (1, 100.0)], "images per second", "x", from_zero=True))
    (_, half), (_, full) = points(root, "curve")
    zero = next(float(one.attributes["y"]) for one in root.all("text", class_="y-tick") if one.text() == "0")
    assert zero - full == pytest.approx(2 * (zero - half), abs=0.3)


@pytest.mark.parametrize("curve", [[(5, 1.5)], [(0, 2.0), (1, 2.0)], [(0, 0.0)]])
@pytest.mark.parametrize("from_zero", [True, False])
def test_a_flat_or_single_valued_curve_is_drawn(parse, curve, from_zero):
    for x, y in points(parse(line_chart(curve, "loss", "flat", from_zero)), "curve"):
        assert 0 < x < 340 and 0 < y < 220


def test_a_long_curve_is_averaged_evenly(parse):
    curve = [(step, float(step % 2)) for step in range(1000)]
    drawn = points(parse(line_chart(curve, "loss", "long", from_zero=False)), "curve")
    assert len(drawn) <= 240
    gaps = {round(b[0] - a[0], 0) for a, b in pairwise(drawn)}
    assert gaps <= {1.0, 2.0}
    assert len({y for _, y in drawn}) <= 2, "pairs of 0 and 1 average to one height, but for rounding"


def test_values_that_are_no_numbers_are_not_drawable():
    curves = {"a": [(0, 1.0), (1, math.nan), (2, math.inf), (3, 2.0)], "b": [(0, math.nan)], "c": []}
    assert drawable(curves) == {"a": [(0, 1.0), (3, 2.0)]}


def test_reliability_dots_lie_where_the_bins_say(parse):
    bins = [ReliabilityBin(0.25, 0.5, 30), ReliabilityBin(0.9, 0.9, 90), ReliabilityBin(0.5, 0.1, 0)]
    root = parse(reliability_chart(bins, "two"))
    (x0, y0), (x1, y1) = points(root, "ideal")
    dots = [{key: float(one.attributes[key]) for key in ("cx", "cy", "r")} for one in root.all("circle")]
    assert len(dots) == 2, "the empty bin leaves no dot"
    for dot, one in zip(dots, bins, strict=False):
        assert dot["cx"] == pytest.approx(x0 + one.confidence * (x1 - x0), abs=0.11)
        assert dot["cy"] == pytest.approx(y0 + one.accuracy * (y1 - y0), abs=0.11)
    assert dots[1]["r"] > dots[0]["r"]


def test_reliability_of_nothing_is_an_empty_diagram(parse):
    assert not parse(reliability_chart([], "none")).all("circle")

"""Charts, read back: where their lines lie, and that nothing in them depends on the page around."""

import math
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.metrics.calibration import Bin
from ecor_jax.metrics.verification import Roc
from ecor_jax.pages import charts
from ecor_jax.pages.charts import growth_chart, kept_chart, line_chart, reliability_chart, roc_chart
from tests.pages.reader import parse

LEFT, RIGHT, TOP, BOTTOM = 56.0, 322.0, 12.0, 180.0


def curve(far: list[float], tar: list[float]) -> Roc:
    return Roc(np.array(far), np.array(tar), 100)


STEPS = curve([0, 0, 0.002, 0.002, 0.1, 1], [0, 0.4, 0.4, 0.7, 0.9, 1])


def lines(chart, colour: str, dots: bool = False) -> list[list[tuple[float, float]]]:
    """The points of the lines of a colour, or of its dots, which are lines without length."""
    drawn = []
    for path in chart.all("path"):
        if f"stroke: var(--{colour})" in path.attributes["style"]:
            numbers = [float(number) for number in re.findall(r"-?[\d.]+", path.attributes["d"])]
            drawn.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return [points for points in drawn if (len(set(points)) == 1) == dots]


def height(points: list[tuple[float, float]], x: float) -> float:
    """The share of the height at which a line is at a share of the width."""
    at = LEFT + x * (RIGHT - LEFT)
    _, y = min(points, key=lambda point: abs(point[0] - at))
    return (BOTTOM - y) / (BOTTOM - TOP)


def test_a_curve_lies_where_its_points_say():
    chart = parse(line_chart([(0, 3.0), (10, 2.0), (30, 1.0)], "loss", "falls <&>"))
    third = LEFT + (RIGHT - LEFT) / 3
    assert lines(chart, "accent") == [[(LEFT, TOP), (pytest.approx(third, abs=0.1), 96.0), (RIGHT, BOTTOM)]]
    assert lines(chart, "accent", dots=True)[0][0] == (RIGHT, BOTTOM)
    (svg,) = chart.all("svg")
    assert svg.attributes["role"] == "img" and svg.attributes["aria-label"] == "falls <&>"
    assert {"loss", "step"} < set(chart.texts("text"))


@pytest.mark.parametrize("points", [[(5, 1.5)], [(0, 2.0), (1, 2.0)], [(0, 0.0)]])
def test_a_flat_or_single_valued_curve_is_drawn(points):
    ((x, y), *_), *_ = lines(parse(line_chart(points, "loss", "flat")), "accent", dots=True)
    assert LEFT <= x <= RIGHT and TOP <= y <= BOTTOM


def test_a_long_curve_is_averaged_evenly():
    """Of 0 and 1 in turn five neighbours have a mean of .4 or .6."""
    chart = line_chart([(n, float(n % 2)) for n in range(1000)], "loss", "x")
    (points,) = lines(parse(chart), "accent")
    assert 100 < len(points) <= 240 and {y for _, y in points} == {TOP, BOTTOM}
    assert {"0.40", "0.60"} <= set(parse(chart).texts("text"))


def test_every_chart_stands_alone():
    """No ids, no links, no style sheet, no font; colours of the style sheet alone; and it is always the same."""
    line = line_chart([(0, 1.0), (1, 2.0)], "loss", "a")
    assert line == line_chart([(0, 1.0), (1, 2.0)], "loss", "a")
    kept, dots = kept_chart({"a": {1: (0.5, None)}}, "AUROC", "e"), reliability_chart([Bin(0.5, 0.4, 3)], "b")
    for chart in (line, kept, dots, roc_chart([STEPS], "c"), roc_chart([STEPS], "d", True)):
        assert not re.search(r" id=|url\(|<use|<style|font-family|http|<metadata|<\?xml|#[0-9a-f]{6}", chart)


def test_matplotlib_is_imported_where_a_chart_is_drawn():
    code = "import sys, ecor_jax.pages.page; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_reliability_dots_lie_where_the_bins_say():
    markup = reliability_chart([Bin(0.25, 0.5, 30), Bin(0.9, 0.9, 90)], "two")
    (first, *_), ((x, _), *_) = lines(parse(markup), "accent", dots=True)
    assert first == (pytest.approx(LEFT + 0.25 * (RIGHT - LEFT), abs=0.1), 96.0)
    assert x == pytest.approx(LEFT + 0.9 * (RIGHT - LEFT), abs=0.1)
    dot = r"stroke: var\(--accent\); stroke-width: ([\d.]+); stroke-linecap: round"
    few, many = map(float, re.findall(dot, markup))
    assert few < many
    assert not lines(parse(reliability_chart([], "none")), "accent")


def test_roc_curves_lie_where_their_points_say():
    chart = parse(roc_chart([STEPS, curve([0, 0.5, 1], [0, 1, 1])], "two", True))
    first, second = lines(chart, "accent")[0], lines(chart, "wr")[0]
    for far, tar in ((0.0015, 0.4), (0.003, 0.7), (0.08, 0.7), (0.2, 0.9), (1.0, 1.0)):
        assert height(first, 1 + math.log10(far) / 3) == pytest.approx(tar, abs=0.01)
    assert height(second, 1 + math.log10(0.4) / 3) == pytest.approx(0, abs=0.01)
    assert {"0.1%", "1%", "10%", "100%", "false accept rate (FAR)"} < set(chart.texts("text"))
    linear = parse(roc_chart([STEPS], "one"))
    assert height(lines(linear, "accent")[0], 0.5) == pytest.approx(0.9, abs=0.01)
    assert "sensitivity" in linear.texts("text")


def test_kept_curves_lie_where_their_points_say():
    values = {"a": {100: (1.0, None), 0: (0.5, None), 50: (0.75, None)}, "b": {50: (0.6, None)}}
    chart = parse(kept_chart(values, "accuracy", "two"))
    middle = (LEFT + RIGHT) / 2
    assert lines(chart, "accent") == [[(LEFT, BOTTOM), (pytest.approx(middle, abs=0.1), 96.0), (RIGHT, TOP)]]
    assert len(lines(chart, "accent", dots=True)) == 3 and "50%" in chart.texts("text")
    low = parse(kept_chart({"a": {1: (0.2, None), 2: (0.9, None)}}, "AUROC", "low"))
    assert lines(low, "accent")[0][0] == (LEFT, BOTTOM), "what is below guessing stays in the chart"


def test_growth_curves_have_logarithmic_axes():
    points = {"a": [(10**7, 0.25), (10**3, 1.0), (10**5, 0.5)]}
    chart = parse(growth_chart(points, "pairs", "RR", "growth", True))
    middle = (LEFT + RIGHT) / 2
    assert lines(chart, "accent") == [[(LEFT, TOP), (pytest.approx(middle, abs=0.1), 96.0), (RIGHT, 138.0)]]
    assert {"1k", "10k", "100k", "1M", "10M"} <= set(chart.texts("text"))
    sizes = parse(growth_chart({"a": [(10, 0), (1000, 2), (10**5, 200)]}, "pairs", "MiB", "sizes", False))
    (line,) = lines(sizes, "accent")
    assert len(line) == 2  # a logarithmic axis has no 0
    assert {"10", "100", "1k", "10k"} <= set(sizes.texts("text"))
    narrow = parse(growth_chart({"a": [(1500, 20), (7000, 90)]}, "pairs", "MiB", "sizes", False))
    assert {"2k", "5k", "10", "100"} <= set(narrow.texts("text"))
    assert growth_chart({"a": [(10, 0)], "b": [(0, 3)]}, "pairs", "MiB", "sizes", False) == ""
    falls = parse(growth_chart({"a": [(10, -0.5), (100, 0.5)]}, "pairs", "drop", "falls", True))
    assert lines(falls, "accent") == [[(LEFT, BOTTOM), (RIGHT, TOP)]]


def test_twenty_curves_look_different_in_the_key_as_in_the_chart():
    samples = [re.findall(r"--(\w+)|dasharray:([^\"]*)", charts.line_sample(place)) for place in range(20)]
    assert len({str(sample) for sample in samples}) == 20
    drawn = re.findall(r"var\(--(\w+)\); stroke-width: 2\b", roc_chart([STEPS] * 20, "many"))
    assert drawn == [sample[0][0] for sample in samples]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=9), st.floats(0, 1))
def test_tar_equals_a_slow_search(points, far):
    points = list(zip(sorted(x for x, _ in points), sorted(y for _, y in points), strict=True))
    expected = max((tar for rate, tar in points if rate <= far * (1 + 1e-9)), default=0.0)
    assert charts.tar_at(curve([x for x, _ in points], [y for _, y in points]), far) == expected


DECADES = {0.5: -1, 0.1: -1, 0.09: -2, 1 / 3000: -4, 1e-3: -3, 1e-9: -6, 1.0: -1}


@pytest.mark.parametrize(("smallest", "decade"), DECADES.items())
def test_the_axis_begins_at_the_decade_below_the_smallest_far(smallest, decade):
    rates = charts.rates_of([curve([0, smallest, 1], [0, 0.5, 1]), curve([0, 1], [0, 1])])
    assert rates == pytest.approx([10.0**exponent for exponent in range(decade, 0)])


def test_curves_of_a_run_without_what_is_no_number():
    first = {"run": "a", "step": 1, "loss": 4.0, "examples_per_second": math.nan}
    second = {"run": "a", "step": 2, "loss": math.inf, "validation_rr": 0.5}
    metrics = [first, {"run": "b", "step": 1, "loss": 1.0}, second]
    assert charts.curves_of(metrics, "a") == {"loss": [(1, 4.0)], "validation rr": [(2, 0.5)]}

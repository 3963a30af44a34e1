import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.explain.diagnosis_charts import MOST_POINTS, interval_bar, rates_chart, thinned

LEFT, RIGHT = 56.0, 322.0
TOP, BOTTOM = 12.0, 180.0


def lines(chart) -> dict[str, list[tuple[float, ...]]]:
    """The points of every line, by its class."""
    return {
        one.attributes["class"]: [tuple(map(float, point.split(","))) for point in one.attributes["points"].split()]
        for one in chart.all("polyline")
    }


def test_rates_are_drawn_on_linear_axes(parse):
    chart = parse(rates_chart({"a": [(0.0, 0.0), (0.25, 0.5), (1.0, 1.0)], "b": [(0.0, 1.0), (1.0, 1.0)]}, "two"))
    middle, half = LEFT + (RIGHT - LEFT) / 4, (TOP + BOTTOM) / 2
    assert lines(chart) == {
        "ideal": [(LEFT, BOTTOM), (RIGHT, TOP)],
        "several c0 d0": [(LEFT, BOTTOM), (middle, half), (RIGHT, TOP)],
        "several c1 d1": [(LEFT, TOP), (RIGHT, TOP)],
    }
    assert {"false positive rate", "sensitivity"} < {one.text() for one in chart.all("text")}
    assert chart.all("svg")[0].attributes["aria-label"] == "two"


@given(st.integers(1, 2000))
def test_a_long_curve_keeps_its_ends_and_its_order(size):
    curve = [(place / size, place / size) for place in range(size)]
    drawn = thinned(curve)
    assert len(drawn) == min(size, MOST_POINTS) == len(set(drawn))
    assert drawn[0] == curve[0] and drawn[-1] == curve[-1] and list(drawn) == sorted(drawn)


@pytest.mark.parametrize("interval", [(0.7, 0.9), None])
def test_an_interval_lies_where_it_says(parse, interval):
    drawn = parse(interval_bar(0.8, interval)).all("svg")[0]
    assert drawn.attributes["aria-hidden"] == "true"
    assert drawn.all("circle")[0].attributes["cx"] == "80.00%"
    assert [one.attributes["x1"] for one in drawn.all("line", class_="even")] == ["50%"]
    spans = [(one.attributes["x1"], one.attributes["x2"]) for one in drawn.all("line", class_="span")]
    assert spans == ([("70.00%", "90.00%")] if interval else [])

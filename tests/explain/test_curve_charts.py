import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.explain.curve_charts import far_text, kept_chart, key, lowest_decade, roc_chart, tar_at

STEPS = [(0.0, 0.0), (0.0, 0.4), (0.002, 0.4), (0.002, 0.7), (0.1, 0.9), (1.0, 1.0)]


def lines(chart) -> dict[str, list[tuple[float, float]]]:
    """The points of every line, by its class."""
    return {
        one.attributes["class"]: [tuple(map(float, point.split(","))) for point in one.attributes["points"].split()]
        for one in chart.all("polyline")
    }


def tick_at(chart, text: str, axis: str) -> float:
    """Where the label of an axis stands, across for x and down for y."""
    (found,) = (one for one in chart.all("text", class_=f"{axis}-tick") if one.text() == text)
    return float(found.attributes[axis])


@pytest.mark.parametrize(
    ("far", "tar"), [(0.0, 0.4), (0.001, 0.4), (0.002, 0.7), (0.05, 0.7), (0.1, 0.9), (0.99, 0.9), (1.0, 1.0)]
)
def test_tar_is_the_largest_within_the_far(far, tar):
    assert tar_at(STEPS, far) == tar


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=9), st.floats(0, 1))
def test_tar_equals_a_slow_search(points, far):
    curve = list(zip(sorted(one for one, _ in points), sorted(one for _, one in points), strict=True))
    allowed = [tar for one, tar in curve if one <= far * (1 + 1e-9)]
    assert tar_at(curve, far) == (max(allowed) if allowed else 0.0)


@pytest.mark.parametrize(
    ("smallest", "decade"), [(0.5, -1), (0.1, -1), (0.09, -2), (1 / 3000, -4), (1e-3, -3), (1e-9, -6), (1.0, -1)]
)
def test_the_axis_begins_at_the_decade_below_the_smallest_far(smallest, decade):
    assert lowest_decade([[(0.0, 0.0), (smallest, 0.5), (1.0, 1.0)], [(0.0, 0.0), (1.0, 1.0)]]) == decade


def test_fars_in_words():
    assert [far_text(10.0**power) for power in range(-6, 1)] == [
        "0.0001%", "0.001%", "0.01%", "0.1%", "1%", "10%", "100%",
    ]  # fmt: skip


def test_roc_curves_lie_where_their_points_say(parse):
    chart = parse(roc_chart({"a": STEPS, "b": [(0.0, 0.0), (0.5, 1.0), (1.0, 1.0)]}, "two"))
    drawn = lines(chart)
    assert set(drawn) == {"ideal", "several c0 d0", "several c1 d1"}
    left, right = tick_at(chart, "0.1%", "x"), tick_at(chart, "100%", "x")
    zero, full = tick_at(chart, "0%", "y"), tick_at(chart, "100%", "y")

    def height(x: float, style: str) -> float:
        """The TAR drawn nearest to a FAR, read off the ticks."""
        at = right + (math.log10(x) / 3) * (right - left)
        _, y = min(drawn[style], key=lambda point: abs(point[0] - at))
        return (zero - y) / (zero - full)

    for far, tar in ((0.0015, 0.4), (0.003, 0.7), (0.08, 0.7), (0.2, 0.9), (1.0, 1.0)):
        assert height(far, "several c0 d0") == pytest.approx(tar, abs=0.01)
    assert height(0.4, "several c1 d1") == 0.0 and height(0.6, "several c1 d1") == pytest.approx(1.0, abs=0.01)
    for far in (0.001, 0.01, 0.1, 0.5, 1.0):
        assert height(far, "ideal") == pytest.approx(far, abs=0.02), "guessing accepts both kinds alike"


def test_kept_curves_lie_where_their_points_say(parse):
    chart = parse(kept_chart({"a": [(0, 0.5), (50, 0.75), (100, 1.0)], "b": [(50, 0.6)]}, "accuracy", "two"))
    drawn = lines(chart)
    x0, x1 = tick_at(chart, "0", "x"), tick_at(chart, "100", "x")
    y0, y1 = tick_at(chart, "50%", "y"), tick_at(chart, "100%", "y")
    assert drawn["several c0 d0"] == [
        pytest.approx(point, abs=0.11) for point in ((x0, y0), ((x0 + x1) / 2, (y0 + y1) / 2), (x1, y1))
    ]  # fmt: skip
    assert len(chart.all("circle")) == 4
    assert chart.all("circle", class_="c1")[0].attributes["cx"] == str(drawn["several c1 d1"][0][0])


def test_kept_aurocs_are_written_as_fractions(parse):
    chart = parse(kept_chart({"a": [(1.0, 0.75), (11.0, 1.0)]}, "AUROC", "kept"))
    y0, y1 = tick_at(chart, "0.5", "y"), tick_at(chart, "1.0", "y")
    assert [y for _, y in lines(chart)["several c0 d0"]] == pytest.approx([(y0 + y1) / 2, y1], abs=0.11)
    assert "AUROC" in {one.text() for one in chart.all("text")}
    assert parse(kept_chart({"a": [(5.0, 1.0)]}, "AUROC", "one point")).all("circle")


def test_an_accuracy_below_guessing_stays_in_the_chart(parse):
    for points in lines(parse(kept_chart({"a": [(1, 0.2), (2, 0.9)]}, "accuracy", "low"))).values():
        assert all(0 < x < 340 and 0 < y < 220 for x, y in points)


def test_twenty_curves_look_different_in_the_key_as_in_the_chart(parse):
    names = {f"curve {place}": "AUC 0.9" if place == 1 else "" for place in range(20)}
    entries = parse(key(names)).all("li")
    assert [one.text() for one in entries][:3] == ["curve 0", "curve 1 AUC 0.9", "curve 2"]
    looks = [entry.all("line")[0].attributes["class"] for entry in entries]
    assert len(set(looks)) == 20
    drawn = parse(roc_chart({name: STEPS for name in names}, "many")).all("polyline", class_="several")
    assert [one.attributes["class"] for one in drawn] == looks
    assert all(re.fullmatch(r"several c[0-4] d[0-3]", look) for look in looks)

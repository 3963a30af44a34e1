"""Lines from descriptors to classes."""

import re

from ecor_jax.pages.links import LEFT, MAX_CLASSES, RIGHT, links_chart


def test_a_line_for_each_descriptor_of_a_class_as_wide_as_its_weight():
    strongest = {
        "cat": [("fur", "several", 2.0), ("whiskers", "cat", 1.0)],
        "dog": [("fur", "several", 0.5), ("x", "dog", -1.0)],
    }
    chart = links_chart(strongest, "a <label>")
    assert "a &lt;label&gt;" in chart
    widths = re.findall(r"stroke-width:([\d.]+)", chart)
    assert widths == ["4.00", "2.00", "1.00"]  # none of a negative weight
    names = re.findall(r"<text[^>]*>([^<]*)</text>", chart)
    assert names == ["whiskers", "fur", "cat", "dog"]  # fur speaks for both, and stands once
    hostile = links_chart({"<i>cat": [("<b>fur", "g", 1.0)]}, "l")
    assert "&lt;b&gt;fur" in hostile and "&lt;i&gt;cat" in hostile and "<b>" not in hostile and "<i>" not in hostile
    starts = re.findall(rf"M{LEFT},([\d.]+) .* {RIGHT},([\d.]+)\"", chart.replace("<path", "\n<path"))
    assert starts[0][0] == starts[2][0] and starts[0][1] == starts[1][1]


def test_nothing_to_draw():
    assert links_chart({"cat": [("fur", "cat", -1.0)]}, "l") == ""
    assert links_chart({f"class {n}": [("fur", "g", 1.0)] for n in range(MAX_CLASSES + 1)}, "l") == ""


def test_descriptors_of_the_same_words_for_different_classes_stand_apart():
    chart = links_chart({"cat": [("a tail", "cat", 1.0)], "dog": [("a tail", "dog", 1.0)]}, "l")
    assert len(re.findall(">a tail<", chart)) == 2

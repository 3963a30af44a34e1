"""Draws which descriptors speak for which classes, as lines between two columns of names."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

FUNCTIONS = ("links_chart",)
"""Functions of this module that templates use."""

WIDTH, ROW = 720, 18
LEFT, RIGHT = 330, 510
"""Places of the ends of the lines."""
ROUNDS = 12
"""Number of times that both columns are ordered."""
MAX_CLASSES = 48
"""Maximum number of classes of a chart that can be read."""


def links_chart(strongest: Mapping[str, Sequence[tuple[str, str, float]]], label: str) -> Markup:
    """Draws descriptors (left) and classes (right), with a line for each (descriptor, group, weight) of a class.

    The width of a line is its weight, as a share of the largest; weights that are not positive have none. Both columns
    are ordered by the mean place of what they are linked to, so that fewer lines cross (Sugiyama et al. 1981). Returns
    '' for more than MAX_CLASSES classes.
    """
    links = [
        ((group, descriptor), row, weight)
        for row, own in enumerate(strongest.values())
        for descriptor, group, weight in own
        if weight > 0
    ]
    if not links or len(strongest) > MAX_CLASSES:
        return Markup("")
    names: list[tuple[str, str]] = list(dict.fromkeys(descriptor for descriptor, *_ in links))
    classes = list(range(len(strongest)))
    for _ in range(ROUNDS):
        names = _by_mean(names, [(name, classes.index(row)) for name, row, _ in links])
        classes = _by_mean(classes, [(row, names.index(name)) for name, row, _ in links])
    height = ROW * (1 + max(len(names), len(classes)))
    left = {name: height * (place + 0.5) / len(names) for place, name in enumerate(names)}
    right = {row: height * (place + 0.5) / len(classes) for place, row in enumerate(classes)}
    largest, middle = max(weight for *_, weight in links), (LEFT + RIGHT) / 2
    shapes = []
    for descriptor, row, weight in links:
        start, end = left[descriptor], right[row]
        path = f"M{LEFT},{start:.1f} C{middle:.0f},{start:.1f} {middle:.0f},{end:.1f} {RIGHT},{end:.1f}"
        style = f"fill:none;stroke:var(--accent);stroke-opacity:.55;stroke-width:{4 * weight / largest:.2f}"
        shapes.append(f'<path d="{path}" style="{style}"/>')
    text = '<text x="{}" y="{:.1f}" text-anchor="{}" style="font-size:12px;fill:var(--ink)">{}</text>'
    shapes += [text.format(LEFT - 6, place + 4, "end", escape(name)) for (_, name), place in left.items()]
    shapes += [text.format(RIGHT + 6, right[row] + 4, "start", escape(name)) for row, name in enumerate(strongest)]
    opened = f'<svg viewBox="0 0 {WIDTH} {height}" width="100%" role="img" aria-label="{escape(label)}"'
    return Markup(f'{opened} style="max-width:{WIDTH}px">{"".join(shapes)}</svg>')


def _by_mean(ends: list[Any], places: Sequence[tuple[Any, int]]) -> list[Any]:
    """Sorts ends of links by the mean place of what they are linked to; those without links stay last."""
    linked: dict[Any, list[int]] = {}
    for end, place in places:
        linked.setdefault(end, []).append(place)
    return sorted(ends, key=lambda end: sum(linked[end]) / len(linked[end]) if end in linked else math.inf)

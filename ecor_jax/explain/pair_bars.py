"""Bars of a pair as inline SVG; the numbers stand beside them, so they are decoration to a screen reader."""

from ecor_jax.explain.html import Html, tag

HEIGHT = 9


def activation_bar(activation: float, even: float, scale: float, colour: str) -> Html:
    """A bar from the left; `scale` fills the width, and a line marks an even spread over the group."""
    shapes = []
    if activation > 0 and scale > 0:
        shapes.append(tag("rect", class_=colour, x="0%", width=_percent(activation / scale), height="100%"))
    if 0 < even <= scale:
        at = _percent(even / scale)
        shapes.append(tag("line", class_="even", x1=at, x2=at, y1="0%", y2="100%"))
    return _bar(*shapes)


def contribution_bar(contribution: float, scale: float) -> Html:
    """A bar from the middle, to the right for what adds to the similarity; `scale` fills one half."""
    middle = tag("line", class_="zero", x1="50%", x2="50%", y1="0%", y2="100%")
    if not contribution or not scale > 0:
        return _bar(middle)
    half = abs(contribution) / scale / 2
    left, colour = (0.5, "plus") if contribution > 0 else (0.5 - half, "minus")
    return _bar(tag("rect", class_=colour, x=_percent(left), width=_percent(half), height="100%"), middle)


def _bar(*shapes: Html) -> Html:
    return tag("svg", *shapes, class_="bar", width="100%", height=HEIGHT, aria_hidden="true")


def _percent(part: float) -> str:
    return f"{100 * part:.2f}%"

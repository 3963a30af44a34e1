"""A picture with what each method sees in it and why: one card of the page."""

import re
from collections.abc import Sequence

from ecor_jax.explain.charts import bar
from ecor_jax.explain.formatting import percent
from ecor_jax.explain.html import Html, hidden, join, tag
from ecor_jax.explain.records import ExplainedPicture, Explanation, Pair

FEW_RATIONALES = 3
"""So many gold rationales are shown at once; more of them unfold."""


def picture_card(picture: ExplainedPicture, identifier: str, file: str, size: tuple[int, int]) -> Html:
    """The picture (its `file` relative to the page, `size` in CSS pixels) once, then each method's pairs.

    All bars of a card share one scale: its most probable pair fills the width.
    """
    width, height = size
    shown = tag("img", src=file, alt=alt_text(picture), width=width, height=height, loading="lazy")
    heading = f"{identifier}-heading"
    largest = max((pair.probability for one in picture.explanations for pair in one.pairs), default=0.0)
    about = [tag("h3", picture.gold_category or _breakable(picture.name), id=heading)]
    if picture.gold_category:
        about.append(tag("p", _breakable(picture.name), class_="quiet"))
    about += _gold_rationales(picture.gold_rationales)
    methods = tag("div", *(_method(picture, one, largest) for one in picture.explanations), class_="methods")
    return tag("article", shown, tag("div", *about, methods), class_="card picture", aria_labelledby=heading)


def alt_text(picture: ExplainedPicture) -> str:
    """What the picture is, what each method says, and whether that is right."""
    subject = picture.name
    if picture.gold_category:
        subject = f"{picture.gold_category} ({picture.name})"
    said = []
    for one in picture.explanations:
        judged = ", ".join(f"{what} {'right' if right else 'wrong'}" for what, right in verdict(picture, one))
        said.append(f"{one.method} says {one.vote}" + (f" ({judged})" if judged else ""))
    return f"Picture of {subject}." + (f" {'; '.join(said)}." if said else "")


def verdict(picture: ExplainedPicture, explanation: Explanation) -> list[tuple[str, bool]]:
    """Whether the category and the reason are right, as far as the gold tells."""
    if explanation.outcome:
        return [("category", explanation.outcome[0] == "R"), ("reason", explanation.outcome[1] == "R")]
    if picture.gold_category:
        return [("category", explanation.vote == picture.gold_category)]
    return []


def _gold_rationales(rationales: Sequence[str]) -> list[Html]:
    if not rationales:
        return []
    if len(rationales) <= FEW_RATIONALES:
        return [tag("p", "Right reasons: " if len(rationales) > 1 else "Right reason: ", "; ".join(rationales))]
    unfolded = tag("ul", *(tag("li", rationale) for rationale in rationales))
    return [tag("details", tag("summary", f"{len(rationales)} right reasons"), unfolded, class_="small quiet")]


def _method(picture: ExplainedPicture, explanation: Explanation, largest: float) -> Html:
    votes = f" {explanation.votes} of {len(explanation.pairs)} pairs"
    parts = [
        tag("h4", explanation.method),
        tag("p", "says ", tag("strong", explanation.vote), tag("span", votes, class_="quiet"), class_="vote"),
    ]
    judged = verdict(picture, explanation)
    if judged:
        words = (
            join(tag("span", _mark(right), f" {_colour(right)} {what}", class_=_colour(right)), " ")
            for what, right in judged
        )
        parts.append(tag("p", *words, class_="verdict"))
    parts.append(tag("ol", *(_pair(picture, one, largest) for one in explanation.pairs), class_="pairs"))
    return tag("div", *parts, class_="method")


def _pair(picture: ExplainedPicture, pair: Pair, largest: float) -> Html:
    category, rationale, colour = Html(""), Html(""), "plain"
    if picture.gold_category:
        right = pair.category == picture.gold_category
        category, colour = _judged(right, "category"), "rw" if right else "ww"
        if picture.gold_rationales:
            reason = pair.rationale in picture.gold_rationales
            rationale = _judged(reason, "reason")
            colour = ("r" if right else "w") + ("r" if reason else "w")
    words = tag(
        "span",
        category,
        tag("strong", pair.category),
        tag("span", " because of ", class_="because"),
        rationale,
        pair.rationale,
    )
    value = tag("span", percent(pair.probability), class_="value")
    share = max(pair.probability / largest, 0.01) if largest > 0 else 0.0
    return tag(
        "li",
        tag("div", words, " ", value, class_="words"),
        tag("div", bar([(share, colour)], height=7), class_="track"),
    )


def _judged(right: bool, what: str) -> Html:
    marked = tag("span", _mark(right), class_=_colour(right))
    return join(marked, hidden(f"{_colour(right)} {what}:"), "\N{NO-BREAK SPACE}")


def _breakable(path: str) -> Html:
    """A path that may go on in the next line after a slash or an underscore."""
    first, *rest = re.split("(?<=[/_])", path)
    return join(first, *(join(tag("wbr"), piece) for piece in rest))


def _mark(right: bool) -> Html:
    return tag("span", "✓" if right else "✗", aria_hidden="true")


def _colour(right: bool) -> str:
    return "right" if right else "wrong"

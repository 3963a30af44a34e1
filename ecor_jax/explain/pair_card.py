"""Two faces side by side, the verdict, and the concepts that speak for it: one card of the page."""

from collections.abc import Sequence
from typing import NamedTuple

from ecor_jax.explain.html import Html, hidden, join, table, tag
from ecor_jax.explain.pair_bars import activation_bar, contribution_bar
from ecor_jax.explain.pair_numbers import plain, share, signed, significant_decimals, telling_decimals
from ecor_jax.explain.pair_records import Concept, ExplainedPair, Intervention, Side
from ecor_jax.explain.pair_selection import Highlight, groups, most_different, most_shared

TOP_GROUPS = 6
"""So many groups are shown at once; all concepts unfold."""
SIDES = ("first", "second")


class Shown(NamedTuple):
    """The file of a picture, relative to the page, and its size in CSS pixels."""

    file: str
    size: tuple[int, int]


class _Scale(NamedTuple):
    """What all bars and numbers of a card share: full widths, and decimals of percentages and contributions."""

    activation: float
    contribution: float
    share_decimals: int
    decimals: int


def pair_card(pair: ExplainedPair, identifier: str, first: Shown, second: Shown) -> Html:
    """The pictures, the verdict in words, the telling groups, and every concept in a table that unfolds."""
    heading = f"{identifier}-heading"
    told = [tag("h3", f"{called(pair.match)}: ", tag("span", comparison(pair), class_="compared"), id=heading)]
    if pair.right is not None:
        told.append(_gold(pair))
    chosen = (most_shared if pair.match else most_different)(pair.concepts, TOP_GROUPS)
    if chosen:
        told.append(tag("h4", "What both show most" if pair.match else "Where they differ most"))
        told.append(_groups(pair, chosen))
    if pair.interventions:
        told.append(_what_if(pair))
    pictures = zip(SIDES, (pair.first, pair.second), (first, second), strict=True)
    faces = tag("div", *(_face(*one) for one in pictures), class_="faces")
    unfolding = [_every_concept(pair)] if pair.concepts else []
    children = (faces, tag("div", *told, class_="told"), *unfolding)
    return tag("article", *children, class_="card pair", aria_labelledby=heading)


def called(match: bool) -> str:
    return "The same person" if match else "Not the same person"


def comparison(pair: ExplainedPair) -> str:
    """Similarity and threshold in words, with the digits that tell them apart."""
    decimals = telling_decimals([(pair.similarity, pair.threshold)], least=2, most=9)
    similarity, threshold = plain(pair.similarity, decimals), plain(pair.threshold, decimals)
    if pair.similarity == pair.threshold:
        return f"similarity {similarity} is not above the threshold {threshold}, but equal to it"
    return f"similarity {similarity} is {'above' if pair.match else 'below'} the threshold {threshold}"


def _gold(pair: ExplainedPair) -> Html:
    truth = "this is the same person" if pair.same else "these are two people"
    mark, word = ("✓", "right") if pair.right else ("✗", "wrong")
    judged = tag("span", tag("span", mark, aria_hidden="true"), f" {word}", class_=word)
    return tag("p", judged, f": {truth}", class_="gold")


def _face(side: str, picture: Side, shown: Shown) -> Html:
    width, height = shown.size
    alt = f"The {side} picture: {picture.name}"
    image = tag("img", src=shown.file, alt=alt, width=width, height=height, loading="lazy")
    return tag("figure", image, tag("figcaption", _key(side), tag("span", picture.name, class_="quiet")))


def _key(side: str) -> Html:
    return tag("b", tag("span", class_=f"chip {side}", aria_hidden="true"), side)


def _groups(pair: ExplainedPair, chosen: Sequence[Highlight]) -> Html:
    concepts = [concept for one in chosen for concept in one.concepts]
    activations = [(one.first, one.second) for one in concepts]
    largest = max(max(couple) for couple in activations)
    contributions = [one.contribution for one in concepts]
    scale = _Scale(
        activation=max(largest, *(1 / one.size for one in chosen)),
        contribution=max(abs(value) for value in contributions),
        share_decimals=telling_decimals([(100 * one, 100 * other) for one, other in activations], least=1, most=5),
        decimals=significant_decimals(contributions, digits=3),
    )
    return tag("div", *(_group(pair, one, scale) for one in chosen), class_="groups")


def _group(pair: ExplainedPair, highlight: Highlight, scale: _Scale) -> Html:
    if pair.match:
        said = f"The group adds {signed(highlight.contribution, scale.decimals)}."
    else:
        said = f"The pictures differ by {share(highlight.difference, scale.share_decimals)}."
    lines = (tag("h5", highlight.group), tag("p", said, class_="quiet"))
    concepts = []
    for concept in highlight.concepts:
        strongest = [] if pair.match else [tag("span", f" {_whose(concept, highlight)}", class_="quiet")]
        concepts.append(tag("p", tag("strong", concept.descriptor), *strongest, class_="concept"))
        concepts.append(_amounts(concept, 1 / highlight.size, scale))
    return tag("div", *lines, *concepts, class_="group")


def _whose(concept: Concept, highlight: Highlight) -> str:
    if len(highlight.concepts) == 1:
        return "strongest in both"
    return f"strongest in the {SIDES[0] if concept is highlight.concepts[0] else SIDES[1]}"


def _amounts(concept: Concept, even: float, scale: _Scale) -> Html:
    """Both activations and the contribution, each a name, a bar and a number."""
    lines = []
    for side, activation in zip(SIDES, (concept.first, concept.second), strict=True):
        drawn = activation_bar(activation, even, scale.activation, side)
        lines.append((side, drawn, share(activation, scale.share_decimals)))
    drawn = contribution_bar(concept.contribution, scale.contribution)
    lines.append(("adds", drawn, signed(concept.contribution, scale.decimals)))
    entries = (
        tag("div", tag("dt", name), tag("dd", drawn), tag("dd", value, class_="value")) for name, drawn, value in lines
    )
    return tag("dl", *entries, class_="amounts")


def _what_if(pair: ExplainedPair) -> Html:
    """What becomes of the similarity and of the verdict when one concept of the second picture is another."""
    couples = [(100 * one.before, 100 * one.after) for one in pair.interventions]
    share_decimals = telling_decimals(couples, least=1, most=5)
    decimals = telling_decimals([(one.similarity, pair.similarity) for one in pair.interventions], least=3, most=6)

    def line(one: Intervention) -> Html:
        match = one.similarity > pair.threshold
        verdict, changed = called(match), " still " if match == pair.match else " then "
        shares = f": {share(one.after, share_decimals)} of its group, not {share(one.before, share_decimals)}: "
        told = f"similarity {plain(one.similarity, decimals)},{changed}{verdict[0].lower()}{verdict[1:]}"
        return tag("li", tag("strong", one.descriptor), shares, told)

    lead = f"Were it otherwise in the second picture (now: similarity {plain(pair.similarity, decimals)})"
    return join(tag("h4", lead), tag("ul", *map(line, pair.interventions)))


def _every_concept(pair: ExplainedPair) -> Html:
    """Activations and contribution of every concept, group by group, down to their sum: the similarity."""
    couples = [(100 * one.first, 100 * one.second) for one in pair.concepts]
    share_decimals = telling_decimals(couples, least=1, most=5)
    decimals = significant_decimals([*(one.contribution for one in pair.concepts), pair.bias], digits=4)
    rows = []
    for name, members in groups(pair.concepts).items():
        for one in members:
            named = join(tag("small", name, hidden(":")), " ", one.descriptor)
            activations = (share(value, share_decimals) for value in (one.first, one.second))
            rows.append([named, *activations, signed(one.contribution, decimals)])
    if pair.bias:
        rows.append(["Bias, of no concept", "", "", signed(pair.bias, decimals)])
    rows.append([tag("strong", "Sum: the similarity"), "", "", tag("strong", signed(pair.total, decimals))])
    caption = f"Share of its group that each concept has in {pair.first.name} and {pair.second.name}, and what it adds"
    drawn = table(caption, ["Concept", "First", "Second", "Adds"], rows)
    return tag("details", tag("summary", f"All {len(pair.concepts)} concepts, and their sum"), drawn, class_="every")

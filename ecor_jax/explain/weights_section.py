"""The aggregation weights as a table: what each descriptor adds to each finding, strongest first."""

from collections.abc import Sequence

from ecor_jax.explain.diagnosis_records import WeightRow
from ecor_jax.explain.html import Html, hidden, join, table, tag
from ecor_jax.explain.pair_bars import contribution_bar
from ecor_jax.explain.pair_numbers import signed, significant_decimals
from ecor_jax.explain.score_numbers import known, or_dash
from ecor_jax.explain.sections import Part, part

TOP = 20
"""So many descriptors are shown with bars; all of them unfold, as numbers."""


def weights_part(rows: Sequence[WeightRow]) -> Part:
    """A table of the strongest weights with bars, and one of all of them."""
    findings = list(dict.fromkeys(name for row in rows for name in row.weights))
    ranked = sorted(rows, key=lambda row: -strength(row))
    few = len(ranked) <= TOP
    caption = "Weights by descriptor" if few else f"The {TOP} descriptors with the largest weights"
    children = [_weights(caption, findings, ranked[:TOP], bars=True)]
    if not few:
        summary = tag("summary", f"All {len(ranked):,} descriptors")
        every = _weights("Weights of all descriptors", findings, ranked, bars=False)
        children.append(tag("details", summary, every, class_="every"))
    lead = (
        "A descriptor adds its weight times its cosine to the logit of a finding: to the right for it, to the left "
        "against it. The weights are the model's own, learnt from the labels; nobody chose them."
    )
    return part("weights", "What speaks for what", lead, tag("div", *children, class_="card weights"))


def strength(row: WeightRow) -> float:
    """The size of the row's largest weight; what is no number counts as nothing."""
    return max((abs(weight) for weight in row.weights.values() if known(weight) is not None), default=0.0)


def _weights(caption: str, findings: Sequence[str], rows: Sequence[WeightRow], bars: bool) -> Html:
    largest = max(map(strength, rows), default=0.0)
    decimals = significant_decimals([largest], digits=4)

    def cell(weight: float | None) -> Html:
        found = known(weight)
        drawn = contribution_bar(found, largest) if bars and found is not None else ""
        return join(or_dash(weight, lambda one: signed(one, decimals)), drawn)

    lines = []
    for row in rows:
        named = join(tag("small", row.group, hidden(":")), " ", row.descriptor)
        lines.append([named, *(cell(row.weights.get(name)) for name in findings)])
    return table(caption, ["Descriptor", *findings], lines)

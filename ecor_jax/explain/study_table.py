"""Every descriptor of a diagnosis, down to the sum that is its logit: a table that unfolds."""

from ecor_jax.explain.html import Html, hidden, join, table, tag
from ecor_jax.explain.pair_numbers import plain, signed, significant_decimals, telling_decimals
from ecor_jax.explain.study_records import Diagnosis
from ecor_jax.explain.study_selection import strongest_first


def evidence_table(diagnosis: Diagnosis, study: str) -> Html:
    """Cosine, typical cosine, weight and contribution of all descriptors, strongest first."""
    evidence = strongest_first(diagnosis.evidence)
    cosine_decimals = telling_decimals([(one.cosine, one.typical) for one in evidence], least=3, most=4)
    weight_decimals = significant_decimals([one.weight for one in evidence], digits=4)
    decimals = significant_decimals([diagnosis.base, *(one.contribution for one in evidence)], digits=4)
    rows = [["Logit of a typical image", "", "", "", signed(diagnosis.base, decimals)]]
    for one in evidence:
        named = join(tag("small", one.group, hidden(":")), " ", one.descriptor)
        cosines = (plain(value, cosine_decimals) for value in (one.cosine, one.typical))
        rows.append([named, *cosines, signed(one.weight, weight_decimals), signed(one.contribution, decimals)])
    total = tag("strong", signed(diagnosis.logit, decimals))
    rows.append([tag("strong", f"Sum: the logit of {diagnosis.finding}"), "", "", "", total])
    caption = f"{diagnosis.finding} in {study}: each descriptor adds its weight times (cosine less the typical cosine)"
    drawn = table(caption, ["Descriptor", "Cosine", "Typical", "Weight", "Adds"], rows)
    summary = tag("summary", f"{diagnosis.finding}: all {len(evidence):,} descriptors, and their sum")
    return tag("details", summary, drawn, class_="every")

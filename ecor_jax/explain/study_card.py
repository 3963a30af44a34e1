"""An image, what is found in it, and the descriptors that carried each answer: one card of the page."""

from collections.abc import Sequence

from ecor_jax.explain.html import Html, hidden, join, tag
from ecor_jax.explain.pair_bars import contribution_bar
from ecor_jax.explain.pair_card import Shown
from ecor_jax.explain.pair_numbers import plain, signed, significant_decimals, telling_decimals
from ecor_jax.explain.study_records import Diagnosis, Evidence, ExplainedStudy, WhatIf
from ecor_jax.explain.study_selection import Reported, Selection, compare, select
from ecor_jax.explain.study_table import evidence_table

TOP = 4
"""So many descriptors of each kind are shown at once; all of them unfold."""
FEW_DIAGNOSES = 3
"""Of more diagnoses than these, those that are neither found nor in the gold are folded."""
SAME = 1e-6
"""A cosine of float32 that is so near the typical one is the typical one."""


def study_card(study: ExplainedStudy, identifier: str, shown: Shown) -> Html:
    """The image, each diagnosis with its reasons, what was reported, and every descriptor in tables that unfold."""
    heading = f"{identifier}-heading"
    width, height = shown.size
    image = tag("img", src=shown.file, alt=alt_text(study), width=width, height=height, loading="lazy")
    told = [tag("h3", study.name, id=heading)]
    for one in study.diagnoses:
        folded = len(study.diagnoses) > FEW_DIAGNOSES and not one.found and not one.gold
        told.append(_diagnosis(one, study.what_ifs.get(one.finding, ()), folded))
    if study.reported:
        told.append(_reported(study))
    tables = (evidence_table(one, study.name) for one in study.diagnoses if one.evidence)
    children = (tag("figure", image), tag("div", *told, class_="told"), tag("div", *tables, class_="tables"))
    return tag("article", *children, class_="card study", aria_labelledby=heading)


def alt_text(study: ExplainedStudy) -> str:
    """Which image it is, and what is answered about it."""
    said = (f"{one.finding}, {probability(one, one.probability)}" for one in study.diagnoses)
    return f"Image of the study {study.name}." + "".join(f" {one}." for one in said)


def probability(diagnosis: Diagnosis, value: float) -> str:
    """`probability 0.83`, with the digits that tell it from the threshold; never a rounded 0 or 1."""
    decimals = _decimals(diagnosis, value)
    least = 10.0**-decimals
    if value < least / 2:
        return f"probability below {plain(least, decimals)}"
    if value >= 1 - least / 2:
        return f"probability above {plain(1 - least, decimals)}"
    return f"probability {plain(value, decimals)}"


def _decimals(diagnosis: Diagnosis, value: float) -> int:
    return telling_decimals([(value, diagnosis.threshold)], least=2, most=6)


def _diagnosis(diagnosis: Diagnosis, what_ifs: Sequence[WhatIf], folded: bool) -> Html:
    answer = f"{diagnosis.finding}: {probability(diagnosis, diagnosis.probability)} (logit {plain(diagnosis.logit, 2)})"
    heading = tag("h4", answer)
    reasons = [tag("p", _verdict(diagnosis), class_="verdict"), *_evidence(diagnosis)]
    if what_ifs:
        reasons.append(tag("h5", "What if"))
        reasons.append(tag("ul", *(tag("li", _what_if(diagnosis, one)) for one in what_ifs), class_="what-ifs"))
    if folded:
        return tag("details", tag("summary", heading), *reasons, class_="diagnosis")
    return tag("div", heading, *reasons, class_="diagnosis")


def _verdict(diagnosis: Diagnosis) -> Html:
    threshold = plain(diagnosis.threshold, _decimals(diagnosis, diagnosis.probability))
    where = "above" if diagnosis.found else "not above"
    said = f"{'Found' if diagnosis.found else 'Not found'}: {where} the threshold {threshold}."
    if diagnosis.right is None:
        return join(said)
    mark, word = ("✓", "right") if diagnosis.right else ("✗", "wrong")
    judged = tag("span", tag("span", mark, aria_hidden="true"), f" {word}", class_=word)
    return join(said, " ", judged, f": the label says {'yes' if diagnosis.gold else 'no'}.")


def _evidence(diagnosis: Diagnosis) -> list[Html]:
    """The four kinds of evidence, all bars on one scale, and how they add up to the logit."""
    if not diagnosis.evidence:
        return []
    chosen = select(diagnosis.evidence, TOP)
    contributions = [one.contribution for one in chosen.shown]
    scale = max((abs(one) for one in contributions), default=0.0)
    decimals = max(significant_decimals([*contributions, diagnosis.base, chosen.rest], digits=3), 3)
    kinds = {
        "Seen, and speaks for it": chosen.seen_for,
        "Seen, but speaks against it": chosen.seen_against,
        "Not seen, which speaks for it": chosen.unseen_for,
        "Not seen, which speaks against it": chosen.unseen_against,
    }
    drawn = (_kind(title, kind, scale, decimals) for title, kind in kinds.items() if kind)
    return [tag("div", *drawn, class_="kinds"), _sum(diagnosis, chosen, decimals)]


def _kind(title: str, kind: Sequence[Evidence], scale: float, decimals: int) -> Html:
    lines = []
    for one in kind:
        named = tag("span", one.descriptor, tag("span", f" {one.group}", class_="quiet"))
        value = tag("span", signed(one.contribution, decimals), class_="value")
        words = tag("div", named, " ", value, class_="words")
        lines.append(tag("li", words, tag("div", contribution_bar(one.contribution, scale), class_="track")))
    return tag("div", tag("h5", title), tag("ul", *lines, class_="pairs"))


def _sum(diagnosis: Diagnosis, chosen: Selection, decimals: int) -> Html:
    shown = diagnosis.logit - diagnosis.base - chosen.rest
    lines = [("Logit of a typical image", diagnosis.base), ("The evidence above", shown)]
    if chosen.left_out:
        lines.append((f"The rest: {chosen.left_out:,} of {len(diagnosis.evidence):,} descriptors", chosen.rest))
    entries = [tag("div", tag("dt", name), tag("dd", signed(value, decimals))) for name, value in lines]
    total = tag("div", tag("dt", "Sum: the logit"), tag("dd", signed(diagnosis.logit, decimals)), class_="total")
    return tag("dl", *entries, total, class_="sum")


def _what_if(diagnosis: Diagnosis, asked: WhatIf) -> Html:
    """`Were "a blunt angle" not seen (cosine 0.241, the typical one, not 0.274): 0.83 → 0.61`; what it decides."""
    decimals = telling_decimals([(asked.cosine_from, asked.cosine_to)], least=3, most=6)
    to, was = plain(asked.cosine_to, decimals), plain(asked.cosine_from, decimals)
    typical = next(one.typical for one in diagnosis.evidence if one.descriptor == asked.descriptor)
    at_typical = abs(asked.cosine_to - typical) < SAME
    before, after = asked.cosine_from > typical, asked.cosine_to > typical and not at_typical
    descriptor = tag("q", asked.descriptor)
    if before == after:
        supposed = join("Were the cosine of ", descriptor, f" {to}, not {was}: ")
    else:
        cosine = f"{to}, the typical one," if at_typical else f"{to},"
        supposed = join("Were ", descriptor, f" {'seen' if after else 'not seen'} (cosine {cosine} not {was}): ")
    digits = telling_decimals([(diagnosis.probability, asked.probability)], least=2, most=4)
    arrow = join(tag("span", " \N{RIGHTWARDS ARROW} ", aria_hidden="true"), hidden(" to "))
    moved = tag("strong", plain(diagnosis.probability, digits), arrow, plain(asked.probability, digits))
    flips = (asked.probability > diagnosis.threshold) != diagnosis.found
    decides = f", and {diagnosis.finding} would {'no longer' if diagnosis.found else 'then'} be found" if flips else ""
    return join(supposed, moved, decides, ".")


def _reported(study: ExplainedStudy) -> Html:
    found = compare(study.reported, [one for diagnosis in study.diagnoses for one in diagnosis.evidence])
    known = [one for one in found if one.seen is not None]
    seen = sum(bool(one.seen) for one in known)
    source = f"From {study.report_source}. " if study.report_source else ""
    told = f"{source}Of {len(found)} the model has {len(known)} as descriptors, and sees {seen}."
    lines = (tag("li", one.descriptor, " ", _judged(one)) for one in found)
    return tag(
        "div", tag("h4", "What was reported"), tag("p", told, class_="quiet"), tag("ul", *lines), class_="report"
    )


def _judged(reported: Reported) -> Html:
    if reported.seen is None:
        return tag("span", "not among the model's descriptors", class_="quiet")
    mark, words, colour = ("✓", "seen", "right") if reported.seen else ("✗", "not seen", "wrong")
    return tag("span", tag("span", mark, aria_hidden="true"), f" {words} by the model", class_=colour)

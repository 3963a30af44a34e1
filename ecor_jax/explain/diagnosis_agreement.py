"""The part of a diagnosis report that compares the reasons it gives with what reports or labels say."""

from ecor_jax.explain.diagnosis_records import Agreement
from ecor_jax.explain.html import join, table, tag
from ecor_jax.explain.score_numbers import area, with_interval
from ecor_jax.explain.sections import Part, part

MATCHES = {
    "equal": "Equal: the same words in the same order.",
    "alike": "Alike: at least half of the content words are common to both, and both affirm, deny or doubt.",
}


def agreement_part(agreement: Agreement) -> Part:
    """Precision, recall and F1 of the sets of descriptors, and measures of text, each with its interval."""
    reference = agreement.reference
    drawn = []
    if agreement.sets:
        names = list(dict.fromkeys(name for scores in agreement.sets.values() for name in scores))
        lines = [
            [match, *(with_interval(scores[name].value, scores[name].interval, area) for name in names)]
            for match, scores in agreement.sets.items()
        ]
        caption = f"Descriptors given as reasons, against those of the {reference}: sets, whatever the order"
        drawn.append(table(caption, ["Descriptors are", *names], lines))
        drawn.append(tag("p", " ".join(MATCHES[match] for match in agreement.sets if match in MATCHES), class_="quiet"))
    if agreement.text:
        lines = [[name, with_interval(one.value, one.interval, area)] for name, one in agreement.text.items()]
        drawn.append(table(f"The same as texts, against those of the {reference}", ["Measure", "Value"], lines))
    lead = (
        "The descriptors that were seen and spoke for the answer of the first method, the strongest few of each study, "
        f"compared with all that the {reference} say: 0 is nothing in common, 1 the same. ROUGE and METEOR also "
        "count the order of the words, precision and recall of sets do not. Ranges are 95% intervals over the patients."
    )
    counts = f"Means over {agreement.studies:,} studies."
    if agreement.left_out:
        counts += f" {agreement.left_out:,} more have nothing in the {reference} to compare with, and are left out."
    whole = tag("div", join(*drawn), tag("p", counts, class_="quiet"), class_="card")
    return part("agreement", f"Do the explanations say what the {reference} say?", lead, whole)

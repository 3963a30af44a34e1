"""The page of a report: the parts that have something to show."""

from collections.abc import Sequence

from ecor_jax.explain.charts import drawable
from ecor_jax.explain.document import document
from ecor_jax.explain.html import Html, tag
from ecor_jax.explain.records import Report
from ecor_jax.explain.sections import (
    Part,
    calibration_part,
    classes_part,
    commands_part,
    methods_part,
    notes_part,
    part,
    training_part,
)


def page(report: Report, cards: Sequence[Html]) -> Html:
    """The document of a report; `cards` are its pictures, drawn by `cards.picture_card`."""
    return document(report, _parts(report, cards))


def _parts(report: Report, cards: Sequence[Html]) -> list[Part]:
    parts = []
    if report.methods:
        parts.append(methods_part(report.methods))
    if cards:
        parts.append(_pictures_part(report, cards))
    if report.classes:
        parts.append(classes_part(report.classes))
    if report.calibration:
        parts.append(calibration_part(report.calibration))
    loss, speed = drawable(report.loss), drawable(report.images_per_second)
    if loss or speed:
        parts.append(training_part(loss, speed))
    if report.commands:
        parts.append(commands_part(report.commands))
    if report.notes:
        parts.append(notes_part(report.notes))
    return parts


def _pictures_part(report: Report, cards: Sequence[Html]) -> Part:
    lead = (
        "Each bar is the probability of a category together with a reason for it; the bars of a picture "
        "share one scale. The category that most of the top pairs name is what the method says."
    )
    if any(picture.gold_category for picture in report.pictures):
        lead += " ✓ and ✗ tell whether category and reason are right."
    single = all(len(picture.explanations) <= 1 for picture in report.pictures)
    grid = tag("div", *cards, class_="cards single" if single else "cards")
    return part("pictures", "What is seen, and why", lead, grid)

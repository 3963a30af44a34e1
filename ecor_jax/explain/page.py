"""The whole page: head, header, contents and the parts that have something to show."""

from collections.abc import Sequence

from ecor_jax.explain.charts import drawable
from ecor_jax.explain.html import Html, join, tag
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
from ecor_jax.explain.style import STYLE

GENERATOR = "ecor_jax"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:"


def page(report: Report, cards: Sequence[Html]) -> Html:
    """The document of a report; `cards` are its pictures, drawn by `cards.picture_card`."""
    parts = _parts(report, cards)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content=GENERATOR),
        tag("title", report.title),
        tag("style", Html(STYLE)),
    )
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#content", class_="skip"),
        _header(report),
        _contents(parts) if len(parts) > 1 else "",
        tag("main", *(one.section for one in parts), id="content"),
        tag("footer", tag("p", "Made by ecor_jax. This page needs no network.", class_="quiet")),
    )
    return join(Html("<!doctype html>\n"), tag("html", head, body, lang="en"), Html("\n"))


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


def _header(report: Report) -> Html:
    children = [tag("h1", report.title)]
    if report.dataset:
        children.insert(0, tag("p", report.dataset, class_="eyebrow"))
    if report.intro:
        children.append(tag("p", report.intro, class_="intro"))
    if report.facts:
        pairs = (tag("div", tag("dt", key), tag("dd", value)) for key, value in report.facts.items())
        children.append(tag("dl", *pairs, class_="facts"))
    return tag("header", *children)


def _contents(parts: Sequence[Part]) -> Html:
    links = (tag("li", tag("a", one.title, href=f"#{one.identifier}")) for one in parts)
    return tag("nav", tag("ul", *links), aria_label="Contents")

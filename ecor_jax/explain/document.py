"""The frame of every page: head, header, contents and the parts that are given."""

from collections.abc import Sequence

from ecor_jax.explain.html import Html, join, tag
from ecor_jax.explain.records import Report
from ecor_jax.explain.sections import Part
from ecor_jax.explain.style import STYLE

GENERATOR = "ecor_jax"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:"


def document(about: Report, parts: Sequence[Part], style: str = "") -> Html:
    """A document of the parts. `about` gives title, data set, intro and facts; `style` is added to the style sheet."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content=GENERATOR),
        tag("title", about.title),
        tag("style", Html(STYLE + style)),
    )
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#content", class_="skip"),
        _header(about),
        _contents(parts) if len(parts) > 1 else "",
        tag("main", *(one.section for one in parts), id="content"),
        tag("footer", tag("p", "Made by ecor_jax. This page needs no network.", class_="quiet")),
    )
    return join(Html("<!doctype html>\n"), tag("html", head, body, lang="en"), Html("\n"))


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

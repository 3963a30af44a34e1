"""HTML by construction: whatever text goes in is escaped, only what `tag` made is markup."""

import html
import re

VOID = {"img", "meta", "wbr"}
# What UTF-8 or an HTML document cannot hold: control characters and lone surrogates (undecodable file names). And what
# turns the writing direction around, so that a name shows as another.
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Html(str):
    """Markup that is safe to put into a page as it is."""


def text(value: str) -> Html:
    """The value as markup: plain text is escaped, `Html` stays as it is."""
    if isinstance(value, Html):
        return value
    return Html(html.escape(UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value)))


def join(*children: str) -> Html:
    """The children one after the other."""
    return Html("".join(text(child) for child in children))


def tag(name: str, /, *children: str, **attributes: str | float | bool | None) -> Html:
    """An element: `tag("p", "a < b", class_="note")` is `<p class="note">a &lt; b</p>`.

    In names of attributes `_` stands for `-`, and a last one is dropped (`class_`, `for_`). An attribute that
    is True is written without a value, one that is None or False is left out.
    """
    written = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        written += " " + key.rstrip("_").replace("_", "-")
        if value is not True:
            written += f'="{text(str(value))}"'
    opened = f"<{name}{written}>"
    return Html(opened) if name in VOID else Html(f"{opened}{join(*children)}</{name}>")


def hidden(value: str) -> Html:
    """Text that only a screen reader sees."""
    return tag("span", value, class_="hidden")


def table(caption: str, header: list[str], rows: list[list[str]]) -> Html:
    """A table whose first cell of each row names the row; on a narrow screen it scrolls in its own box."""
    head = tag("tr", *(tag("th", cell, scope="col") for cell in header))
    body = [tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in rest)) for first, *rest in rows]
    inside = tag("table", tag("caption", tag("span", caption)), tag("thead", head), tag("tbody", *body))
    return tag("div", inside, class_="scroll", role="region", aria_label=caption, tabindex="0")

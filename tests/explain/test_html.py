from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.explain.html import Html, join, table, tag, text

NASTY = st.text(alphabet=st.one_of(st.sampled_from("<>&\"'/=!-"), st.characters()), max_size=30)


def printable(value: str) -> str:
    """What a page can hold of the value, by code point."""
    allowed = "\t\n"
    bad = [*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000)]
    return "".join("\ufffd" if ord(one) in bad and one not in allowed else one for one in value)


@given(NASTY, NASTY)
def test_any_text_comes_back_as_text_and_makes_no_markup(parse, inside, attribute):
    root = parse(tag("p", inside, title=attribute))
    (paragraph,) = root.children
    assert paragraph.name == "p"
    assert "".join(paragraph.children) == printable(inside)
    assert paragraph.attributes == {"title": printable(attribute)}


@given(NASTY)
def test_any_text_can_be_encoded(value):
    text(value).encode("utf-8")


def test_markup_is_not_escaped_twice():
    assert join("a < b", tag("b", "&")) == "a &lt; b<b>&amp;</b>"
    assert text(Html("<i>")) == "<i>"


def test_names_and_values_of_attributes():
    made = tag("details", aria_label="x", class_="y", open=True, hidden=False, title=None, height=3)
    assert made == '<details aria-label="x" class="y" open height="3"></details>'
    assert tag("img", src="a.png") == '<img src="a.png">'


def test_a_table_names_its_rows_and_columns(parse):
    root = parse(table("Ages & names", ["Name", "Age"], [["<Ada>", "36"], ["Bob", "7"]]))
    assert [one.text() for one in root.all("caption")] == ["Ages & names"]
    assert [(one.text(), one.attributes["scope"]) for one in root.all("th")] == [
        ("Name", "col"), ("Age", "col"), ("<Ada>", "row"), ("Bob", "row"),
    ]  # fmt: skip
    assert [one.text() for one in root.all("td")] == ["36", "7"]

"""`DESCRIPTOR=VALUE` as a user types it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.bottleneck.what_if import read_what_if
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.errors import UserError

DESCRIPTORS = Descriptors.from_groups(
    {"effusion": ["blunting of the costophrenic angle", "a ratio = 0.5"], "edema": ["Kerley lines"]}, "here", least=1
)
phrases = st.sampled_from(DESCRIPTORS.phrases)


def read(*texts: str, least: float = -1.0, most: float = 1.0) -> dict[int, float]:
    return read_what_if(texts, DESCRIPTORS, least, most, "DESCRIPTOR=COSINE")


@given(st.dictionaries(phrases, st.floats(-1, 1)))
def test_what_is_written_is_read_in_the_order_asked(asked):
    """Descriptors may hold an equals sign."""
    found = read(*(f"{phrase}={value!r}" for phrase, value in asked.items()))
    assert list(found.items()) == [(DESCRIPTORS.phrases.index(phrase), value) for phrase, value in asked.items()]


@given(phrases, st.floats(-10, 10), st.floats(-2, 2), st.floats(0, 3))
def test_values_out_of_range_are_refused_and_others_kept(phrase, value, least, width):
    most = least + width
    if least <= value <= most:
        assert list(read(f"{phrase}={value!r}", least=least, most=most).values()) == [value]
        return
    with pytest.raises(UserError, match=r"expected DESCRIPTOR=COSINE from .* to "):
        read(f"{phrase}={value!r}", least=least, most=most)


@pytest.mark.parametrize("value", ["", "much", "nan", "inf", "-inf", "1.0001", "-2", "0,5", "0x1"])
def test_a_value_that_is_none_is_shown(value):
    with pytest.raises(UserError) as error:
        read(f"Kerley lines={value}")
    assert str(error.value) == f"--what_if 'Kerley lines={value}': expected DESCRIPTOR=COSINE from -1.0 to 1.0"


@pytest.mark.parametrize("text", ["Kerly lines=0", "Kerley lines", "=0.5", "", "kerley lines=0", " Kerley lines=0"])
def test_an_unknown_descriptor_is_shown_with_the_nearest(text):
    with pytest.raises(UserError) as error:
        read("a ratio = 0.5=0", text)
    message = str(error.value)
    assert message.startswith(f"--what_if {text!r}: the model has no such descriptor; the nearest: ")
    nearest = message.partition("the nearest: ")[2].split(", ")
    assert set(nearest) <= set(DESCRIPTORS.phrases) and "\n" not in message
    if "er" in text:
        assert nearest[0] == "Kerley lines"


def test_the_option_that_is_told_is_the_one_that_was_given():
    with pytest.raises(UserError, match=r"^cosines 'Kerley lines=2': expected COSINE from -1 to 1"):
        read_what_if({"Kerley lines": 2}, DESCRIPTORS, -1, 1, "COSINE", "cosines")


def test_two_values_for_one_descriptor_are_refused():
    with pytest.raises(UserError, match=r"'Kerley lines=0\.5': the descriptor was given twice"):
        read("Kerley lines=0.1", "Kerley lines=0.5")


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_in_one_line(text):
    try:
        assert set(read(text)) <= {0, 1, 2}
    except UserError as error:
        assert "\n" not in str(error)

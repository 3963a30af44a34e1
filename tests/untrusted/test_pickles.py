"""Pickles of strangers: data is what Python reads; names, endless memos and shared structures come to nothing."""

import copyreg
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.untrusted.pickles import StandIn, Unpickler

KEYS = st.text(max_size=5) | st.integers()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda values: (
        st.lists(values) | st.dictionaries(KEYS, values) | st.lists(values, max_size=5).map(tuple) | st.just((1, 2, 3))
    ),
    max_leaves=20,
)


@given(VALUES | st.sampled_from([2**70, "é" * 300, b"b" * 300, bytearray(b"c")]), st.sampled_from([3, 4, 5]))
def test_data_is_what_python_reads(value, protocol):
    """Protocols below 3 have no bytes of their own and name a function for them, below 5 no bytearrays."""
    protocol = 5 if isinstance(value, bytearray) else protocol
    assert Unpickler(pickle.dumps(value, protocol)).load() == value


def test_a_dict_of_protocol_0_is_read():
    assert Unpickler(b"(K\x01K\x02d.").load() == {1: 2}


class Call:
    def __reduce__(self):
        return print, ("ran",)


@pytest.mark.parametrize("protocol", range(6))
def test_a_name_is_not_looked_up(protocol, capsys):
    """The base class imports what it is asked for; only a subclass that says how may be asked."""
    content = pickle.dumps(Call(), protocol)

    class Strict(Unpickler):
        def find_class(self, module, name):
            raise LookupError(f"{module}.{name}")

    with pytest.raises(LookupError, match="print"):
        Strict(content).load()
    assert not capsys.readouterr().out


class Stub(StandIn):
    state = None

    def set_state(self, state):
        self.state = state


class Stubs(Unpickler):
    """Knows one name, a function that makes a Stub."""

    def find_class(self, module, name):
        return self.make

    def make(self, *_):
        return Stub()


def operations(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


NAME = b"cm\nn\n"


def test_a_state_goes_to_stand_ins_alone():
    stub = Stubs(operations(NAME, b")R", b"K\x07b")).load()
    assert isinstance(stub, Stub) and stub.state == 7
    for target in (NAME, b"]", b"\x8c\x01a"):  # the function itself, a list, a text
        with pytest.raises(pickle.UnpicklingError, match="sets attributes of what has none"):
            Stubs(operations(target, b"}\x8c\x01aK\x07sb")).load()
    assert Stubs(operations(b"}", b"}\x8c\x01aK\x07sb")).load() == {}


OTHER_OPERATIONS = {
    "extension": b"\x82\x01",
    "INST": b"(i__main__\nx\n",
    "OBJ": b"(" + NAME + b"o",
    "NEWOBJ_EX": NAME + b")}\x92",
    "set": b"\x8f(K\x01\x90",
    "buffer": b"\x97",
    "endless bytearray": b"\x96" + (2**40).to_bytes(8, "little"),
    "endless bytes": b"\x8e" + (2**62).to_bytes(8, "little"),
    "memo that is not there": b"]r\0\0\0\x10j\0\0\0\x20",
    "a tuple as a key": b"})K\x01s",
    "an item of a list": b"]K\x01K\x02s",
}


@pytest.mark.parametrize("content", OTHER_OPERATIONS.values(), ids=OTHER_OPERATIONS)
def test_other_operations_come_to_nothing(content):
    copyreg.add_extension("m", "n", 1)
    try:
        with pytest.raises((pickle.UnpicklingError, KeyError, EOFError, ValueError, OverflowError)):
            Stubs(operations(content)).load()
    finally:
        copyreg.remove_extension("m", "n", 1)


def test_bytes_are_not_copied_more_often_than_they_are_there():
    unpickler = Unpickler(bytes(100))
    unpickler.take(150)
    with pytest.raises(pickle.UnpicklingError, match="more bytes than it holds"):
        unpickler.take(51)

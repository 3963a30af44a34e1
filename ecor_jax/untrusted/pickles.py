"""Interprets untrusted pickles without importing or running anything they name.

The base class is the pure-Python unpickler of the standard library, restricted to the operations that plain data needs.
Unlike the C implementation, its memo grows with the number of entries and not with the indices in a file. Subclasses
define in `find_class` which names are known, and supply their own functions for them.
"""

import io
import pickle
import struct
from collections.abc import Callable
from typing import Any, ClassVar

_OPERATIONS = """
PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT
STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT
GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE NEWOBJ BINPERSID
"""
_CODES = [ord(getattr(pickle, name)) for name in _OPERATIONS.split()]


class StandIn:
    """A substitute for an object that a pickle describes; its only operation is to receive a state."""

    def set_state(self, state: Any) -> None:
        """Receives the state that the pickle assigns to the object."""
        raise NotImplementedError


class Unpickler(pickle._Unpickler):
    """Loads the value of the pickle `content` by `load()`; any exception means a damaged or a rejected pickle.

    Python 2 strings are loaded as bytes.
    """

    # Attributes of the base class that its type stubs omit.
    read: Callable[[int], bytes]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    stack: list[Any]

    def __init__(self, content: bytes):
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._spare = 2 * len(content)

    def take(self, size: int) -> None:
        """Counts bytes about to be copied, because a few operations could copy the same ones over and over."""
        self._spare -= size
        if self._spare < 0:
            raise pickle.UnpicklingError("it asks for more bytes than it holds")

    def _load_bytearray8(self) -> None:
        # The base class allocates the announced size before reading. This reads bytes instead.
        self.append(self.read(*struct.unpack("<Q", self.read(8))))

    def _load_build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, StandIn):
            target.set_state(state)
        elif not isinstance(target, dict):  # ignored: PyTorch sets attributes (versions) on state dicts
            raise pickle.UnpicklingError("it sets attributes of what has none")

    def _load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        put_items(self.stack[-1], [(key, value)])

    def _load_setitems(self) -> None:
        items = self.pop_mark()
        put_items(self.stack[-1], zip(items[::2], items[1::2], strict=True))

    def _load_dict(self) -> None:
        items, target = self.pop_mark(), {}
        put_items(target, zip(items[::2], items[1::2], strict=True))
        self.append(target)

    def _refuse(self) -> None:
        raise pickle.UnpicklingError("it asks for more than data is made of")

    dispatch: ClassVar[dict[int, Any]] = {
        **dict.fromkeys(range(256), _refuse),
        **{code: pickle._Unpickler.dispatch[code] for code in _CODES},
        ord(pickle.BYTEARRAY8): _load_bytearray8,
        ord(pickle.BUILD): _load_build,
        ord(pickle.SETITEM): _load_setitem,
        ord(pickle.SETITEMS): _load_setitems,
        ord(pickle.DICT): _load_dict,
    }


def put_items(target: Any, items: Any) -> None:
    """Adds items to a dict; keys must be str, bytes or int, because hashing nested tuples can take exponential time."""
    for key, value in items:
        if type(target) is not dict or type(key) not in (str, bytes, int):
            raise pickle.UnpicklingError("it has a dict whose keys are no texts")
        target[key] = value

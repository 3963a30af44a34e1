"""Pickles of others, interpreted without running what they ask for.

This is the interpreter of Python's own library that is written in Python, cut down to the operations that data is made
of. Unlike the one in C, its memo grows with what is put there and not with the numbers that a file names. A subclass
says in `find_class` which names there are and has functions of its own for them; nothing is imported.
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
    """An object in the place of one that a pickle describes: it may be given a state, and nothing else."""

    def set_state(self, state: Any) -> None:
        """Takes what the pickle says of the object."""
        raise NotImplementedError


class Unpickler(pickle._Unpickler):
    """What `content` describes, by `load()`. Any exception stands for a pickle that is broken or asks for more.

    Strings of Python 2 are bytes.
    """

    # Of the base class, which its type stubs leave out.
    read: Callable[[int], bytes]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    stack: list[Any]

    def __init__(self, content: bytes):
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._spare = 2 * len(content)

    def take(self, size: int) -> None:
        """Counts bytes about to be copied: a few operations could ask for the same ones again and again."""
        self._spare -= size
        if self._spare < 0:
            raise pickle.UnpicklingError("it asks for more bytes than it holds")

    def _load_bytearray8(self) -> None:
        # Python's own allocates what is announced before it reads what there is. As bytes they need no copies later.
        self.append(self.read(*struct.unpack("<Q", self.read(8))))

    def _load_build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, StandIn):
            target.set_state(state)
        elif not isinstance(target, dict):  # PyTorch hangs its versions on dicts of weights
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
    """Into a dict; keys are texts, bytes or numbers: to hash a tuple of tuples of itself may take for ever."""
    for key, value in items:
        if type(target) is not dict or type(key) not in (str, bytes, int):
            raise pickle.UnpicklingError("it has a dict whose keys are no texts")
        target[key] = value

"""Parses untrusted JSON with limits on size, depth and digits; rejects repeated keys and lone surrogates."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import decode_text, read_bytes

MAX_BYTES = 64 << 20
DEPTH = 100
DIGITS = 40
"""Maximum digits of an integer; transformers writes 31 digits for a tokenizer without a maximum length."""

Pairs = Callable[[list[tuple[str, Any]]], Any]


class JsonObject(list[tuple[str, Any]]):
    """A JSON object as a list of its pairs, so that repeated keys can be detected."""


def read_json(path: Path, *, pairs: Pairs | None = None) -> Any:
    """Returns the value in a JSON file; `pairs` builds an object from its (key, value) pairs (default: `distinct`).

    Raises UserError, naming the file, if it cannot be read or exceeds a limit.
    """
    return parse_json(read_bytes(path, MAX_BYTES), str(path), pairs=pairs)


def read_object(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file as `read_json` does; raises UserError if the value is not an object."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a JSON object, found {kind_of(value)}")
    return value


def parse_json(content: bytes | str, where: str, *, pairs: Pairs | None = None) -> Any:
    """Parses JSON text with the limits of `read_json`; `where` names it in error messages."""
    if len(content) > MAX_BYTES:
        raise UserError(f"{where}: {len(content):,} bytes of JSON; at most {MAX_BYTES:,} are read")
    text = decode_text(content, where) if isinstance(content, bytes) else content
    try:
        value = json.loads(
            text, object_pairs_hook=pairs or distinct, parse_int=_whole, parse_float=_finite, parse_constant=_constant
        )
        if text.count("[") + text.count("{") > DEPTH:
            _check_depth(value)
        # Escapes may encode lone surrogates, which can be written to no file name and no page.
        if re.search(r"\\u[dD][89a-fA-F]", text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise UserError(f"{where}: is nested more than {DEPTH} deep; expected plain JSON") from None
    except UnicodeEncodeError:
        raise UserError(f"{where}: a text holds half a character (a lone surrogate); expected whole ones") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not JSON: {error.msg}, line {error.lineno} column {error.colno}") from error
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    return value


def kind_of(value: Any) -> str:
    """Describes the type of a JSON value for error messages."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict | JsonObject) else "a list"
    return json.dumps(value, ensure_ascii=False)[:100]


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns an object's pairs as a dict. Raises ValueError for a repeated key; Python would keep the last one."""
    value = dict(pairs)
    if len(value) < len(pairs):
        repeated = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise ValueError(f"{', '.join(map(repr, repeated[:10]))} stands there twice")
    return value


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEPTH:
            raise RecursionError
        level = [child for parent in level for child in _children(parent)]


def _children(value: Any) -> list[Any]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    # An object that `pairs` made a list of pairs counts as one level, like a dict.
    values = (child[1] if isinstance(child, tuple) else child for child in children)
    return [child for child in values if isinstance(child, dict | list)]


def _whole(digits: str) -> int:
    if (count := len(digits.lstrip("-"))) > DIGITS:
        raise ValueError(f"a whole number of {count} digits; at most {DIGITS} are read")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:30]} is too large")
    return value


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")

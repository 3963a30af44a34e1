"""UserError, the exception for mistakes that the user can correct, and helpers to format its messages."""

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any


class UserError(Exception):
    """Invalid input or an invalid option; the message names the input or option, the value found and the one expected.

    Commands print the message as one line and exit with status 1; other exceptions are bugs and keep their traceback.
    """

    def __init__(self, message: str):
        # Names in files may contain lone surrogates, which no terminal and no page can show.
        super().__init__(message.encode(errors="backslashreplace").decode())


def line_of(error: Exception) -> str | None:
    """Returns the message for an error of the user's input or machine; None for a bug, which needs a traceback."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; smaller batches or sets need less"
    return None


@contextlib.contextmanager
def error_prefix(where: Any) -> Iterator[None]:
    """Prefixes the message of a UserError raised in the block with `where`, a file."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def needs(package: str, extra: str) -> None:
    """Raises UserError, naming the extra to install, if the optional `package` (its import name) is missing."""
    if importlib.util.find_spec(package) is None:
        raise UserError(f'this needs {package}, which is not installed: pip install "ecor-jax[{extra}]"')


def printable(text: str) -> str:
    """Escapes line breaks, terminal control characters and bidirectional controls, so the text fits one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def some_of(names: Sequence[object]) -> str:
    """Formats the first ten names, followed by the number of the others."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(str, names[:10])) + more

"""The one exception that stands for a mistake the user can mend, and how to show what files and names hold."""

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any


class UserError(Exception):
    """Bad input or a bad option: the message names it, says what was found and what was expected.

    Commands print the message as one line and exit with status 1; anything else is a bug and keeps its traceback.
    """

    def __init__(self, message: str):
        # Names in files may hold halves of characters, which no terminal and no page can show.
        super().__init__(message.encode(errors="backslashreplace").decode())


@contextlib.contextmanager
def about(where: Any) -> Iterator[None]:
    """Puts `where`, a file, before the message of a UserError that is raised within."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def needs(package: str, extra: str) -> None:
    """Raises UserError that names the extra to install, where the optional `package` (as imported) is missing."""
    if importlib.util.find_spec(package) is None:
        raise UserError(f'this needs {package}, which is not installed: pip install "ecor-jax[{extra}]"')


def printable(text: str) -> str:
    """The text in one line: line breaks, controls of the terminal and of the writing direction are spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def some_of(names: Sequence[object]) -> str:
    """The first ten, and how many more there are."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(str, names[:10])) + more

"""Tables and image files put together: what finds no partner is counted, listed and logged."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeVar, get_args

from absl import logging

from ecor_jax.data.files import Files, raise_missing, some_of
from ecor_jax.errors import UserError

OnMissing = Literal["error", "skip"]
Key = TypeVar("Key", bound=Hashable)


def images_by_key(files: Files, key_of: Callable[[str], Key | None]) -> dict[Key, str]:
    """The members by their keys; those without a key are passed over. Raises UserError for two of one key."""
    members: dict[Key, str] = {}
    for member in files.members:
        if (key := key_of(member)) is not None and members.setdefault(key, member) != member:
            raise UserError(f"{files.path} has two images of one name, {members[key]} and {member}")
    return members


def keep_existing(
    where: Path, listed: Iterable[Key], existing: dict[Key, str], name_of: Callable[[Key], str], on_missing: OnMissing
) -> tuple[list[Key], list[str]]:
    """The listed images that exist, and a line for each that does not, or exists and is not listed.

    Raises UserError for listed images that are missing (all counted, ten named), unless `on_missing` is "skip" and
    some exist; and for an `on_missing` that is neither.
    """
    if on_missing not in get_args(OnMissing):
        raise UserError(f"on_missing is {on_missing!r}; expected one of {', '.join(get_args(OnMissing))}")
    listed = dict.fromkeys(listed)
    kept = [key for key in listed if key in existing]
    missing = [name_of(key) for key in listed if key not in existing]
    if on_missing == "error" or not kept:
        raise_missing(str(where), missing)
    unlisted = [member for key, member in existing.items() if key not in listed]
    return kept, [
        *left_out(where, "no such image", missing),
        *left_out(where, "an image that it does not list", unlisted),
    ]


def left_out(where: Path, reason: str, names: Sequence[str]) -> list[str]:
    """A line for each name, giving the reason; their count and the first ten are logged."""
    if names:
        logging.warning("%s: %d left out (%s): %s", where, len(names), reason, some_of(names))
    return [f"{name}: {reason} ({where.name})" for name in names]

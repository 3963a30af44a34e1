"""Typed options of a run: frozen dataclasses define types, ranges and defaults, config files give the values.

A field's annotation defines the allowed values: `Literal` values, numbers `Within` a range, templates with the
placeholders of `Placeholders`, comma-separated `Names`, or a group of options, which is a nested dataclass.
"""

import dataclasses
import re
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from ml_collections import ConfigDict

from ecor_jax.errors import UserError

# To type checkers a config is Any, because ConfigDict annotates every option as one union of types.
if TYPE_CHECKING:
    Config = Any
else:
    Config = ConfigDict


def comma_list(text: str) -> tuple[str, ...]:
    """Splits an option at commas, strips the items and drops empty ones."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def path_list(text: str) -> tuple[str, ...]:
    """Splits an option with one path, or several with commas; an existing path with a comma stays one path."""
    paths = comma_list(text)
    several = not Path(text).exists() and any(Path(path).exists() or path.startswith("tfds:") for path in paths)
    return paths if several else (text,)


def meaning(kind: type, key: str) -> str:
    """Returns what the docstring of a dataclass of options, or of its bases, says of an option, such as "data.images".

    A docstring has "NAME: text" or "NAME, NAME: text" for every option. The allowed values of a `Literal` are added.
    Returns "" for an option that is not described or does not exist.
    """
    group, _, inner = key.partition(".")
    hint = get_type_hints(kind, include_extras=True).get(group)
    if inner:
        kinds = [each for each in (hint, *get_args(hint)) if dataclasses.is_dataclass(each)]
        if get_origin(hint) is Mapping:
            inner = inner.partition(".")[2]
        return meaning(kinds[0], inner) if kinds and inner else ""  # pyright: ignore[reportArgumentType]
    values = get_args(hint) if get_origin(hint) is Literal else ()
    allowed = f" ({', '.join(map(str, values))})" if values else ""
    names = "|".join(field.name for field in dataclasses.fields(kind))
    begins = rf"(?:^|(?<=[.:] ))(?:(?:{names}), )*{group}(?:, (?:{names}))*: "
    for each in kind.__mro__:
        text = " ".join((each.__doc__ or "").split())
        if found := re.search(rf"{begins}(.*?)\.?(?= (?:(?:{names}), )*(?:{names}): |$)", text):
            return found[1] + allowed
    return allowed.strip()


RENAMED = {
    "parallel.rematerialise": "parallel.remat",
    "parallel.shard_towers": "parallel.fsdp",
    "parallel.accumulate": "parallel.grad_accumulation",
    "parallel.patience": "parallel.peer_timeout",
    "bottleneck.start": "bottleneck.init",
    "head.start": "head.init",
    "bottleneck.wise": "bottleneck.wise_ft",
    "concepts.least": "concepts.min_reports",
    "concepts.most": "concepts.max_descriptors",
}
"""Option names of earlier versions, which stored configs may have, and their current names."""


def no_such_option(key: str, known: Iterable[str]) -> str:
    """Returns the error message for an unknown option."""
    *parents, group, name = ("", *key.split("."))
    if now := RENAMED.get(f"{group}.{name}"):
        return f"--config.{key}: is called {'.'.join((*parents[1:], now))} now"
    return f"--config.{key}: no such option; there are: {', '.join(sorted(known))}"


Options = TypeVar("Options")


class Within(NamedTuple):
    """The range of a number, limits included. Limits that depend on data are checked elsewhere."""

    min: float
    max: float


class Placeholders(NamedTuple):
    """The placeholders that a template may have, and those that it must have, such as c for {c}."""

    placeholders: str
    needed: str = ""


Names = Annotated[tuple[str, ...], "in a config: a text with commas between them"]
Seed = Annotated[int, Within(0, 2**32 - 1)]
Count = Annotated[int, Within(0, 10**9)]
Positive = Annotated[int, Within(1, 10**9)]
Share = Annotated[float, Within(0, 1)]
Weight = Annotated[float, Within(0, 1e6)]
BatchSize = Annotated[int, Within(1, 2**20)]
# Its maximum is low, because evaluation batches are padded to their full size, however few images there are.
EvaluationBatchSize = Annotated[int, Within(1, 2**14)]
Workers = Annotated[int, Within(-1, 1024)]
"""Processes that read and decode images (see `data.pipeline.train_batches`); -1 lets Grain choose the number."""
Shown = Annotated[int, Within(0, 10**4)]
DataType = Literal["float32", "bfloat16"]
OnBad = Literal["error", "skip"]


def defaults(kind: type) -> Config:
    """Returns a config with every option of the dataclass at its default, as the start of a config file."""
    return ConfigDict(plain(kind()))


def config_of(options: Any) -> Config:
    """Converts options to a config whose mappings keep their order."""

    def ordered(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return ConfigDict({name: ordered(entry) for name, entry in value.items()}, sort_keys=False)

    return ordered(plain(options))


def plain(options: Any) -> dict[str, Any]:
    """Converts options to the plain values of a config; the inverse of `read`."""
    return {field.name: _plain(getattr(options, field.name)) for field in dataclasses.fields(options)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return plain(value)
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, tuple):
        return ",".join(value)
    return {} if value is None else value


def defaults_of(options: Any) -> dict[str, Any]:
    """Returns the defaults of options as plain values; a group that is None by default has them if `options` has it."""
    found = plain(type(options)())
    for name, default in found.items():
        if default == {} and dataclasses.is_dataclass(group := getattr(options, name)):
            found[name] = defaults_of(group)
    return found


def read(kind: type[Options], config: Config | Mapping[str, Any], prefix: str = "") -> Options:
    """Reads and checks the options of a config; options that the config lacks get their defaults.

    Raises UserError for an unknown option, or a value that has another type or is not allowed. `prefix` is put before
    the names of options in errors.
    """
    values = config.to_dict() if isinstance(config, ConfigDict) else dict(config)
    hints = get_type_hints(kind, include_extras=True)
    if unknown := sorted(set(values) - set(hints)):
        raise UserError(no_such_option(f"{prefix}{unknown[0]}", hints))
    return kind(**{name: _value(hints[name], value, prefix + name) for name, value in values.items()})


def _value(annotation: Any, value: Any, name: str) -> Any:
    hint: Any
    hint, *extras = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    origin: Any = get_origin(hint)
    if origin in (Union, types.UnionType):  # a group, or None where the config leaves it empty
        return _value(get_args(hint)[0], value, name) if value else None
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise UserError(f"{name} is {value!r}; expected a group of options")
        return read(hint, value, f"{name}.")
    if origin is Literal:
        if value not in get_args(hint):
            raise UserError(f"{name} is {value!r}; expected one of {', '.join(get_args(hint))}")
        return value
    if origin is tuple and not _is_list(value):
        raise UserError(f"{name} is {value!r}; expected a text with commas, or a list of texts")
    if origin is tuple:
        return tuple(dict.fromkeys(comma_list(value if isinstance(value, str) else ",".join(value))))
    if origin is Mapping and not hasattr(value, "items"):
        raise UserError(f"{name} is {value!r}; expected a group of options")
    if origin is Mapping:
        return {entry: _value(get_args(hint)[1], options, f"{name}.{entry}") for entry, options in value.items()}
    allowed: Any = (int, float) if hint is float else hint
    if not isinstance(value, allowed) or (isinstance(value, bool) and hint is not bool):
        raise UserError(f"{name} is {value!r}; expected {hint.__name__}")
    for extra in extras:
        if isinstance(extra, Within) and not extra.min <= value <= extra.max:
            raise UserError(f"{name} is {value}; expected {extra.min:,} to {extra.max:,}")
        if isinstance(extra, Placeholders):
            check_template(value, extra.placeholders, name, needed=extra.needed)
    return hint(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value)
    )


def check_template(template: Any, placeholders: str, option: str, *, needed: str = "") -> None:
    """Raises UserError unless a template's only braces are `{x}` for x in `placeholders`, including all `needed`.

    General format strings are rejected, because they can access attributes and pad to gigabytes of spaces.
    """
    rest = str(template)
    for placeholder in placeholders:
        rest = rest.replace(f"{{{placeholder}}}", "")
    lacking = not all(f"{{{placeholder}}}" in str(template) for placeholder in needed)
    if not isinstance(template, str) or "{" in rest or "}" in rest or lacking:
        expected = " and ".join(f"{{{placeholder}}}" for placeholder in placeholders)
        raise UserError(f"{option} is {str(template)[:100]!r}; expected {expected} as the only braces")

"""Loading of config files (Python files with get_config) and overrides of their options."""

import contextlib
import functools
import importlib.util
import inspect
import operator
import sys
import textwrap
import traceback
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict
from ml_collections.config_flags import config_flags

from ecor_jax.config.options import Config, meaning, no_such_option
from ecor_jax.errors import UserError

AnyConfig = str | Path | ConfigDict | Mapping[str, Any]
"""The name of a config file, such as "configs/folder.py" or "configs/faces_orl.py:table5/base", or its content."""


def load_config(name: str, overrides: Sequence[str]) -> ConfigDict:
    """Loads the config `FILE.py` or `FILE.py:ROW`, applies overrides `KEY=VALUE`, and locks it against new keys."""
    config = _read(name)
    for override in overrides:
        key, _, value = override.partition("=")
        set_option(config, key, value)
    return config.lock()


def with_options(config: AnyConfig, options: Mapping[str, Any] | None = None) -> ConfigDict:
    """Returns a copy of a config with some options set. Raises UserError for an unknown option or a wrong type."""
    chosen = load_config(str(config), ()) if isinstance(config, str | Path) else _copy(config)
    with chosen.unlocked():
        for key, value in (options or {}).items():
            try:
                chosen.update_from_flattened_dict({key: value})
            except (KeyError, TypeError) as error:
                raise UserError(f"{key}={value!r}: {error}") from error
    return chosen


def _copy(config: ConfigDict | Mapping[str, Any]) -> ConfigDict:
    return ConfigDict(config.to_dict() if isinstance(config, ConfigDict) else dict(config))


def options_help(name: str, kind_of: Callable[[Config], type]) -> str:
    """Returns the options of a config with their values and meanings, for the end of a command's help.

    kind_of: returns the dataclass of a config's options, whose docstrings say what they mean.
    """
    config = _read(name)
    kind, lines = kind_of(config), [f"options of {name}, with its values:"]
    for key, value in _options(config).items():
        lines.append(f"  --config.{key}={value}")
        lines += textwrap.wrap(meaning(kind, key), 100, initial_indent=" " * 8, subsequent_indent=" " * 8)
    return "\n".join(lines)


def _read(name: str) -> ConfigDict:
    file, separator, row = name.partition(".py:")
    return read_config(Path(f"{file}.py"), row) if separator else read_config(Path(name))


TABLES = "tables"
"""The folder of the shipped tables, within that of the shipped configs."""


def shipped() -> Path:
    """Returns the folder of the shipped configs: in an installed package, or configs/ of a repository clone."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def read_config(path: Path, *row: str) -> ConfigDict:
    """Returns the result of `get_config()` of a Python file, or of `get_config(row)` for FILE.py:ROW.

    `configs/X.py`, `X.py` and `tables/X.py` are also searched among the shipped configs. Raises UserError, with the
    line, for any error in the file.
    """
    # ml_collections' loader is not used, because it shows a traceback if the file is missing or wrong.
    below = path.parts[-2:] if path.parent.name == TABLES else path.parts[-1:]
    file = (path if path.is_file() else shipped().joinpath(*below)).absolute()
    ships = path.parts[: -len(below)] in ((), ("configs",))
    if not path.is_file() and not (ships and file.is_file()):
        files = sorted(shipped().glob(f"{TABLES}/*.py" if len(below) > 1 else "*.py"))
        known = [file.relative_to(shipped()) for file in files if "def get_config" in file.read_text()]
        raise UserError(f"{path}: no such config; there are: {', '.join(f'configs/{name}' for name in known)}")
    spec = importlib.util.spec_from_file_location(path.stem, file)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        with _configs_importable(file.parent):
            spec.loader.exec_module(module)
            make = getattr(module, "get_config", None)
            if row and make is not None and not inspect.signature(make).parameters:
                raise UserError(f"found the row {row[0]!r}; expected none, it is one config")
            config = make(*row) if make is not None else None
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (Exception, SystemExit) as error:  # the file is a program, which may raise anything
        raise UserError(_config_error(path, file, error)) from error
    if not isinstance(config, ConfigDict):
        raise UserError(f"{path}: expected a function get_config() that returns a ConfigDict")
    return config


@contextlib.contextmanager
def _configs_importable(folder: Path) -> Iterator[None]:
    """Makes `configs.X` importable in the block: the X.py beside a config, or the shipped one."""
    before = _take_configs()
    package = types.ModuleType("configs")
    package.__path__ = [str(folder), str(shipped())]
    sys.modules["configs"] = package
    try:
        yield
    finally:
        _take_configs()
        sys.modules.update(before)


def _take_configs() -> dict[str, Any]:
    """Removes `configs` and its modules from sys.modules and returns them."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "configs"}


def _config_error(path: Path, file: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{path}, line {error.lineno}: {error.msg}" if error.lineno else f"{path}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    what = repr(error) if isinstance(error, SystemExit) else error
    return f"{path}, line {lines[-1]}: {what}" if lines else f"{path}: {what}"


def set_option(config: Config, key: str, value: str) -> None:
    """Sets the option `key`, such as a.b, to `value`, parsed as the type of its current value.

    Raises UserError for an unknown key (listing the known ones) or a value of another type.
    """
    options = _options(config)
    if key not in options:
        if inner := [name for name in options if name.startswith(f"{key}.")]:
            raise UserError(f"--config.{key} is a group of options: {', '.join(inner)}")
        raise UserError(no_such_option(key, options))
    *parents, name = key.split(".")
    group: Any = functools.reduce(operator.getitem, parents, config)
    group[name] = _parsed(f"--config.{key}", value, group[name])


def _parsed(option: str, value: str, old: Any) -> Any:
    """Parses `value` as config_flags does for the type of `old`, without evaluating text as code."""
    # The flags are of a config of this value only, because config_flags evaluates keys as Python expressions.
    config, argument, values = ConfigDict({"value": old}), f"--config.value={value}", flags.FlagValues()
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=[argument])
        values(["", argument])
    except (flags.Error, ValueError, SyntaxError, TypeError):
        raise UserError(f"{option}={value}: expected {type(old).__name__}, like {old!r}") from None
    return config["value"]


def _options(config: Config, prefix: str = "") -> dict[str, Any]:
    """Returns every option by its full key; an empty group counts as an option."""
    options = {}
    for key, value in config.items():
        inner = _options(value, f"{prefix}{key}.") if isinstance(value, ConfigDict) else {}
        options |= inner or {prefix + key: value}
    return options

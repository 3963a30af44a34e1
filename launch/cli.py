"""What the commands share: arguments, configs with overrides, and errors as one line.

A command is `main(args)` and an argparse parser made by `parser(__doc__)`: `cli.run(main, parser())` under
`if __name__ == "__main__"` (see launch/train.py).
"""

import argparse
import ast
import importlib.util
import inspect
import logging
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import logging as absl_logging
from ml_collections import ConfigDict

from ecor_jax import stopping
from ecor_jax.errors import UserError, printable
from ecor_jax.untrusted.files import is_utf8


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parses the command line and calls `main`.

    Exit status: 0 if all went well; 1 after one line on stderr, if the user's input or machine did not do; 2 for a
    command line that cannot be read; 130 and 143 after Ctrl-C and SIGTERM, what was at work being saved (`stopping`).
    """
    stopping.install()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None where they are closed
        # A process that is stopped does not write out what waits.
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # pyright: ignore
    args = parser.parse_args(_joined(sys.argv[1:]))
    _quieten_libraries()
    try:
        if foreign := [argument for argument in sys.argv if not is_utf8(argument)]:
            raise UserError(f"the argument {os.fsencode(foreign[0])!r} is no UTF-8")
        main(args)
    except UserError as error:
        sys.exit(f"error: {printable(str(error))}")
    except BrokenPipeError:
        os._exit(141)  # the reader has seen enough, as after `| head`
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(f"error: {printable(str(error.filename))}: {error.strerror}")
    except MemoryError:
        sys.exit("error: there is not enough memory for this; smaller batches or sets need less")
    except stopping.Stopped as stopped:
        stopping.end(str(stopped))


def _quieten_libraries() -> None:
    absl_logging.set_verbosity(absl_logging.WARNING)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {printable(str(message))}", file=sys.stderr)
    for noisy in ("orbax", "jax", "httpx", "huggingface_hub", "grain"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # What Orbax cannot write or read it raises; before that, each of its threads logs the stack it fails with.
    logging.getLogger("absl").addFilter(lambda record: "orbax" not in Path(record.pathname).parts)
    # Warnings name files and classes, in one line and without what a terminal would obey.
    logging.getLogger("absl").addFilter(_print_safely)
    # And after that, TensorStore's remaining writes find nobody waiting for them.
    default = sys.unraisablehook
    sys.unraisablehook = lambda found: None if str(found.exc_value) == "Event loop is closed" else default(found)


def _print_safely(record: logging.LogRecord) -> bool:
    record.msg, record.args = printable(record.getMessage()), ()
    return True


def parser(description: str | None) -> argparse.ArgumentParser:
    """An argument parser with a command's docstring as its help."""
    formatter = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=description, formatter_class=formatter, allow_abbrev=False)


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config=FILE.py` or `FILE.py:ROW` and any number of `--config.key=value`."""
    parser.add_argument(
        "--config", required=True, metavar="FILE.py", help="a file with get_config(); FILE.py:ROW gives it a row"
    )
    parser.add_argument(
        "--config.KEY",
        dest="overrides",
        action="append",
        default=[],
        metavar="VALUE",
        help="override one key",
    )


def add_workdir(parser: argparse.ArgumentParser) -> None:
    """`--workdir=DIR`, a path."""
    parser.add_argument("--workdir", required=True, metavar="DIR", type=a_path, help="folder of this run")


def a_path(name: str) -> Path:
    """The type of an argument that is a path. Path("") is the folder one is in: `--output=$UNSET` would fill it."""
    if not name:
        raise argparse.ArgumentTypeError("is empty; expected a path")
    return Path(name)


def load_config(args: argparse.Namespace) -> ConfigDict:
    """The config of `--config`, with its overrides applied and locked against new keys."""
    name, separator, row = args.config.partition(".py:")
    config = read_config(Path(f"{name}.py"), row) if separator else read_config(Path(name))
    for item in args.overrides:
        key, _, value = item.partition("=")
        set_option(config, key, value)
    return config.lock()


def read_config(path: Path, *row: str) -> ConfigDict:
    """What `get_config()` of a Python file returns, or `get_config(row)` of a file with rows, as ml_collections does.

    UserError, with the line, for what goes wrong in it.
    """
    if not path.is_file():
        files = sorted(Path("configs").glob("*.py"))
        known = ", ".join(str(file) for file in files if "def get_config" in file.read_text())
        raise UserError(f"{path}: no such config; there are: {known}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        make = getattr(module, "get_config", None)
        if row and make is not None and not inspect.signature(make).parameters:
            raise UserError(f"found the row {row[0]!r}; expected none, it is one config")
        config = make(*row) if make is not None else None
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (Exception, SystemExit) as error:  # the file is a program: anything may go wrong in it
        raise UserError(_config_error(path, error)) from error
    if not isinstance(config, ConfigDict):
        raise UserError(f"{path}: expected a function get_config() that returns a ConfigDict")
    return config


def _config_error(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{path}, line {error.lineno}: {error.msg}" if error.lineno else f"{path}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    what = repr(error) if isinstance(error, SystemExit) else error
    return f"{path}, line {lines[-1]}: {what}" if lines else f"{path}: {what}"


def output_file(path: Path) -> Path:
    """`path`, if a file can be put there; found out before the work, not after it."""
    if path.is_dir():
        raise UserError(f"{path}: is a directory; expected the name of a file")
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is a device or a pipe, which would be replaced; expected the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Files are written beside their place first.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    return path


def set_option(config: ConfigDict, key: str, value: str) -> None:
    """Sets `a.b` to `value`, read as the type that stands there.

    UserError for an unknown key (with those that exist) or a value of another type.
    """
    *parents, name = key.split(".")
    node: Any = config
    for parent in parents:
        node = node[parent] if isinstance(node, ConfigDict) and parent in node else None
    if not isinstance(node, ConfigDict) or name not in node:
        raise UserError(f"--config.{key}: no such option; there are: {', '.join(sorted(_keys(config)))}")
    old = node[name]
    if isinstance(old, ConfigDict):
        raise UserError(f"--config.{key} is a group of options: {', '.join(sorted(old))}")
    try:
        node[name] = _read(value, old)
    except (ValueError, SyntaxError, TypeError, KeyError):
        raise UserError(f"--config.{key}={value}: expected {type(old).__name__}, like {old!r}") from None


def _read(value: str, old: Any) -> Any:
    """`value` as what `old` is."""
    if isinstance(old, bool):
        return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
    if isinstance(old, str | int | float):
        return type(old)(value)
    read = ast.literal_eval(value)
    if not isinstance(read, dict if isinstance(old, dict) else tuple | list):
        raise TypeError(read)
    return type(old)(read)


def _keys(config: ConfigDict, prefix: str = "") -> list[str]:
    keys = []
    for key, value in config.items():
        keys += _keys(value, f"{prefix}{key}.") if isinstance(value, ConfigDict) else [prefix + key]
    return keys


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--config.a.b=1` and `--config.a.b 1` as the one option argparse knows, `--config.KEY=a.b=1`."""
    joined, rest = [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument.startswith("--config."):
            if "=" not in argument and rest:
                argument += f"={rest.pop(0)}"
            argument = f"--config.KEY={argument.removeprefix('--config.')}"
        joined.append(argument)
    return joined

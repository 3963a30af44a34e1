"""Code that all commands share: argument parsing, process setup, and error reporting in one line."""

import argparse
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from absl import logging as absl_logging
from ml_collections import ConfigDict

from ecor_jax import stopping
from ecor_jax.atomic import temporary_folder
from ecor_jax.config.files import load_config, options_help
from ecor_jax.config.options import Config
from ecor_jax.errors import UserError, line_of, printable
from ecor_jax.untrusted.files import is_utf8


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """Parses the command line and calls `main`.

    Exit status: 0 on success; 1, after one line on stderr, for an error of the user's input or machine; 2 for an
    invalid command line; 130 and 143 after Ctrl-C and SIGTERM, once work in progress is saved (`stopping`).
    """
    stopping.install()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None if closed
        # Line-buffered, because a stopped process does not flush its buffers.
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # pyright: ignore
    try:
        _quieten_libraries()
        args = parse(parser, arguments)
        if foreign := [argument for argument in arguments if not is_utf8(argument)]:
            raise UserError(f"the argument {os.fsencode(foreign[0])!r} is no UTF-8")
        if getattr(args, "coordinator", None) is not None:
            join_processes(args)
        main(args)
    except BrokenPipeError:
        os._exit(141)  # the reader closed the pipe, as `| head` does
    except stopping.Stopped as stopped:
        stopping.end(str(stopped))
    except Exception as error:
        if _is_a_lost_process(error):
            from ecor_jax.parallel.endings import await_reason

            await_reason()
            if stopping.requested():
                stopping.end(stopping.STOPPED)  # another process was faster to end by the signal that it passed on
        line = _line_of(error)
        if line is None and not _is_one_of_several():
            raise
        if line is None:
            # Raising would deadlock: at exit this process would wait for the others, which wait for it.
            traceback.print_exc()
            line = "a mistake of this program, as told above"
        # The others detect a lost process on their own.
        _fail(line, tell=not _is_a_lost_process(error))


def _line_of(error: Exception) -> str | None:
    """Returns the error message for the user; None for a bug in this program, which needs a traceback."""
    if (line := line_of(error)) is not None:
        return line
    if _is_a_lost_process(error):
        reason = str(error).strip().splitlines()[0][:200]
        return f"another process of this run is gone ({reason}); the same command goes on from what is saved"
    return None


def _is_a_lost_process(error: Exception) -> bool:
    """Returns whether JAX or Gloo raised the error because another process no longer responds."""
    return _is_one_of_several() and (isinstance(error, RuntimeError) or "Gloo" in str(error))


def _fail(message: str, *, tell: bool) -> NoReturn:
    """Exits with an error line; with `tell`, the other processes of the run exit with the same line."""
    line = f"error: {printable(message)}"
    if _is_one_of_several():
        from ecor_jax.parallel.endings import broadcast_end

        if tell:
            broadcast_end({"error": line})
        stopping.end(line)
    sys.exit(line)


def _is_one_of_several() -> bool:
    processes = sys.modules.get("ecor_jax.parallel.processes")
    return processes is not None and processes.is_distributed


def _quieten_libraries() -> None:
    absl_logging.set_verbosity(absl_logging.WARNING)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {printable(str(message))}", file=sys.stderr)
    for noisy in ("orbax", "jax", "httpx", "huggingface_hub", "grain"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Orbax raises its errors, but before that each of its threads also logs a stack trace.
    logging.getLogger("absl").addFilter(lambda record: "orbax" not in Path(record.pathname).parts)
    # Warnings contain names of files and classes, so control characters are escaped.
    logging.getLogger("absl").addFilter(_print_safely)
    # Hides the errors of TensorStore's unfinished writes, which fail because the event loop they belong to is closed.
    default = sys.unraisablehook
    sys.unraisablehook = lambda found: None if str(found.exc_value) == "Event loop is closed" else default(found)


def _print_safely(record: logging.LogRecord) -> bool:
    record.msg, record.args = printable(record.getMessage()), ()
    return True


def parser(description: str | None) -> argparse.ArgumentParser:
    """Returns an argument parser with a command's docstring as its help."""
    formatter = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=description, formatter_class=formatter, allow_abbrev=False)


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parses a command's arguments; `overrides` contains the config options, `KEY=VALUE`, in order.

    `--config=FILE.py --help` also lists the options of that config. Raises UserError if it cannot be loaded.
    """
    own, overrides, rest = [], [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument.startswith("--config."):
            # argparse does not support options with arbitrary names, and a value may begin with a hyphen.
            if "=" not in argument:
                argument += f"={rest.pop(0)}" if rest else "="
            overrides.append(argument.removeprefix("--config."))
        else:
            own.append(argument)
    if overrides and parser.get_default("overrides") is None:
        parser.error(f"unrecognized arguments: --config.{overrides[0]}")
    if {"-h", "--help"} & set(own):
        asked = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        asked.add_argument("--config")
        config = asked.parse_known_args(own)[0].config
        if config is not None:
            parser.epilog = options_help(config, _kind_of)
    return parser.parse_args(own, argparse.Namespace(overrides=overrides))


def _kind_of(config: Config) -> type:
    # They import JAX, which takes seconds.
    from ecor_jax.tables.options import Table
    from ecor_jax.tasks.base import task_of

    return task_of(config["task"]).Options if "task" in config else Table


def add_config(parser: argparse.ArgumentParser) -> None:
    """Adds `--config=FILE.py` or `FILE.py:ROW` and any number of `--config.key=value`."""
    files = "a Python file with get_config(), of yours or of those that ship, such as configs/folder.py; "
    files += "a few take a row: configs/faces_orl.py:table5/base"
    parser.add_argument("--config", required=True, metavar="FILE.py[:ROW]", help=files)
    # This option exists only for the help: `parse` extracts such options beforehand.
    option = "sets an option of the config, such as --config.steps=50; "
    option += "`--config=FILE.py --help` says what they mean"
    parser.add_argument("--config.KEY", dest="overrides", default=[], metavar="VALUE", help=option)


def add_processes(parser: argparse.ArgumentParser) -> None:
    """Adds the options of multi-process runs: --coordinator, --processes and --process, or --distributed."""
    group = parser.add_argument_group("several processes", "of one run, started with the same command")
    group.add_argument("--coordinator", default="", metavar="HOST:PORT", help="where the first process listens")
    group.add_argument("--processes", type=int, default=0, metavar="N", help="how many there are")
    group.add_argument("--process", type=int, default=-1, metavar="I", help="which one this is, from 0")
    group.add_argument("--meet_seconds", type=int, default=300, metavar="N", help="how long to wait for the others")
    group.add_argument("--distributed", action="store_true", help="asks the cluster instead (TPU, SLURM, Kubernetes)")


def join_processes(args: argparse.Namespace) -> None:
    """Connects to the other processes, if the arguments request several."""
    given = args.coordinator, args.processes, args.process
    if args.distributed and given != ("", 0, -1):
        raise UserError("--distributed asks the cluster for --coordinator, --processes and --process; leave them out")
    if given == ("", 0, -1) and not args.distributed:
        return
    host, _, port = args.coordinator.rpartition(":")
    good = port.isdecimal() and 0 < int(port) < 2**16 and 0 <= args.process < args.processes
    if not args.distributed and not (host and good):
        raise UserError(
            f"--coordinator={args.coordinator} --processes={args.processes} --process={args.process}; "
            "expected HOST:PORT, the number of processes, and one of 0 to that less one"
        )
    from ecor_jax.parallel import processes  # imports JAX

    processes.join(*given, args.meet_seconds)


def config_of(args: argparse.Namespace) -> ConfigDict:
    """Returns the config of `--config` with its overrides applied, locked against new keys."""
    return load_config(args.config, args.overrides)


def add_workdir(parser: argparse.ArgumentParser) -> None:
    """Adds `--workdir=DIR`, a path."""
    parser.add_argument("--workdir", required=True, metavar="DIR", type=path_arg, help="folder of this run")


def path_arg(name: str) -> Path:
    """Converts an argument to a path. Rejects '', because Path("") is the working directory: `--output=$UNSET`."""
    if not name:
        raise argparse.ArgumentTypeError("is empty; expected a path")
    return Path(name)


def output_file(path: Path) -> Path:
    """Returns `path` if a file can be written to it, so that an error is raised before the computation, not after."""
    if path.is_dir():
        raise UserError(f"{path}: is a directory; expected the name of a file")
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is a device or a pipe, which would be replaced; expected the name of a file")
    # Files are written to a temporary folder in the same directory first, so check that it can be created.
    with temporary_folder(path):
        return path

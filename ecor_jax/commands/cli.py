"""What the commands share: arguments, and errors as one line."""

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
from ecor_jax.atomic import beside
from ecor_jax.config.files import load_config, options_help
from ecor_jax.errors import UserError, printable
from ecor_jax.untrusted.files import is_utf8


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """Parses the command line and calls `main`.

    Exit status: 0 if all went well; 1 after one line on stderr, if the user's input or machine did not do; 2 for a
    command line that cannot be read; 130 and 143 after Ctrl-C and SIGTERM, what was at work being saved (`stopping`).
    """
    stopping.install()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None where they are closed
        # A process that is stopped does not write out what waits.
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
        os._exit(141)  # the reader has seen enough, as after `| head`
    except stopping.Stopped as stopped:
        stopping.end(str(stopped))
    except Exception as error:
        line = _line_of(error)
        if line is None and not _is_one_of_several():
            raise
        if line is None:
            # At its end this process would wait for the others, which wait for it.
            traceback.print_exc()
            line = "a mistake of this program, as told above"
        # That another process is gone, the others learn by themselves.
        _fail(line, tell=not _is_a_lost_process(error))


def _line_of(error: Exception) -> str | None:
    """What a user is told of it; None for a mistake of ours, whose traceback is wanted."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; smaller batches or sets need less"
    if _is_a_lost_process(error):
        reason = str(error).strip().splitlines()[0][:200]
        return f"another process of this run is gone ({reason}); the same command goes on from what is saved"
    return None


def _is_a_lost_process(error: Exception) -> bool:
    """Whether JAX raised it since another process no longer answers: a RuntimeError, or one of Gloo."""
    return _is_one_of_several() and (isinstance(error, RuntimeError) or "Gloo" in str(error))


def _fail(message: str, *, tell: bool) -> NoReturn:
    """Ends with one line; other processes of the run, if they are told, end with the same."""
    line = f"error: {printable(message)}"
    if _is_one_of_several():
        from ecor_jax.parallel.endings import tell_others

        if tell:
            tell_others({"error": line})
        stopping.end(line)
    sys.exit(line)


def _is_one_of_several() -> bool:
    processes = sys.modules.get("ecor_jax.parallel.processes")
    return processes is not None and processes.joins


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


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command; `overrides` has the options of the config, `KEY=VALUE`, in their order.

    `--config=FILE.py --help` lists the options of that config, too. UserError if that cannot be read.
    """
    own, overrides, rest = [], [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument.startswith("--config."):
            # argparse knows no options whose names are still open, and a value may begin with a hyphen.
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
            parser.epilog = options_help(config)
    return parser.parse_args(own, argparse.Namespace(overrides=overrides))


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config=FILE.py` or `FILE.py:ROW` and any number of `--config.key=value`."""
    parser.add_argument(
        "--config",
        required=True,
        metavar="FILE.py[:ROW]",
        help="a Python file with get_config(), of yours or of those that ship, such as configs/folder.py; "
        "a few take a row: configs/faces_orl.py:table5/base",
    )
    # For the help alone: `parse` takes these options out first.
    parser.add_argument(
        "--config.KEY",
        dest="overrides",
        default=[],
        metavar="VALUE",
        help="sets an option of the config, such as --config.steps=50; "
        "`--config=FILE.py --help` lists them with their defaults",
    )


def add_processes(parser: argparse.ArgumentParser) -> None:
    """What makes this process one of several: --coordinator, --processes and --process, or --distributed."""
    group = parser.add_argument_group("several processes", "of one run, started with the same command")
    group.add_argument("--coordinator", default="", metavar="HOST:PORT", help="where the first process listens")
    group.add_argument("--processes", type=int, default=0, metavar="N", help="how many there are")
    group.add_argument("--process", type=int, default=-1, metavar="I", help="which one this is, from 0")
    group.add_argument("--meet_seconds", type=int, default=300, metavar="N", help="how long to wait for the others")
    group.add_argument("--distributed", action="store_true", help="asks the cluster instead (TPU, SLURM, Kubernetes)")


def join_processes(args: argparse.Namespace) -> None:
    """Meets the other processes, if there are to be any."""
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
    """The config of `--config`, with its overrides applied and locked against new keys."""
    return load_config(args.config, args.overrides)


def add_workdir(parser: argparse.ArgumentParser) -> None:
    """`--workdir=DIR`, a path."""
    parser.add_argument("--workdir", required=True, metavar="DIR", type=a_path, help="folder of this run")


def a_path(name: str) -> Path:
    """The type of an argument that is a path. Path("") is the folder one is in: `--output=$UNSET` would fill it."""
    if not name:
        raise argparse.ArgumentTypeError("is empty; expected a path")
    return Path(name)


def output_file(path: Path) -> Path:
    """`path`, if a file can be put there; found out before the work, not after it."""
    if path.is_dir():
        raise UserError(f"{path}: is a directory; expected the name of a file")
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is a device or a pipe, which would be replaced; expected the name of a file")
    # Files are written in a folder beside their place first.
    with beside(path):
        return path

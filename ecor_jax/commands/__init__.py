"""The commands: `ecor-jax NAME ...` from any folder, which is the same as `python -m launch.NAME ...` from a clone.

A command is a module with `main(args)` and `parser()`, which returns the parser that `cli.parser(__doc__)` creates.
`main` imports what is slow, so that --help and usage errors are fast.
"""

import difflib
import importlib
import sys

from ecor_jax import stopping
from ecor_jax.errors import printable

COMMANDS = {
    "quickstart": "tunes a small CLIP, compares three methods and writes a page of explanations, in 90 seconds",
    "train": "trains and evaluates the methods of a config",
    "table": "runs the rows of a table with every seed: means, ranges, intervals",
    "evaluate": "evaluates a model on the data of a config",
    "explain": "explains pictures, chest X-rays or pairs of faces with a model",
    "demo": "opens a page in the browser to try a model on pictures",
    "convert": "converts CLIP or SigLIP weights of other projects to a model directory",
    "push": "uploads a model directory to the Hugging Face hub",
    "prepare": "writes ArrayRecord files of a folder, zip or RecordIO file of pictures",
    "compile": "compiles a config for TPUs that are not attached: memory, communication, bounds on speed",
    "benchmark": "measures throughput on this machine, and that of other implementations with --peers",
    "descriptors": "extracts descriptors from radiology reports",
}
HELP = f"""usage: ecor-jax COMMAND [OPTION ...]

Explainable image recognition with CLIP, in JAX.

{chr(10).join(f"  {name:12} {what}" for name, what in COMMANDS.items())}

`ecor-jax COMMAND --help` lists the options of a command."""

# A worker process imports the main program again; `install` makes it end together with its parent.
if stopping.starter() is not None:
    stopping.install()


def main() -> None:
    """Runs the console script `ecor-jax`. Exits with status 2 for an unknown command, else as `cli.run`."""
    # Signals are handled before any slow import.
    stopping.install()
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(HELP)
    elif name in COMMANDS:
        run(name, arguments, "ecor-jax ")
    else:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(COMMANDS)}"
        print(f"error: {printable(name)}: no such command; {hint}", file=sys.stderr)
        sys.exit(2)


def run(name: str, arguments: list[str] | None = None, program: str = "python -m launch.") -> None:
    """Runs a command of COMMANDS with the given arguments (default: those of the command line).

    program: the text before the command's name in its help.
    """
    from ecor_jax.commands import cli

    command = importlib.import_module(f"ecor_jax.commands.{name}")
    parser = command.parser()
    parser.prog = program + name
    cli.run(command.main, parser, sys.argv[1:] if arguments is None else arguments)

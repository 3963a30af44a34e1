"""Compiles a config ahead of time for absent TPUs; reports whether it fits into memory and an upper bound on its speed.

    ecor-jax compile --config=configs/imagenet.py --topology=v5e:4x4 --output=FILE.json [--config.key=value ...]

The training and evaluation steps are compiled for these chips, without weights or pictures; for several methods,
only the steps of the last one that is trained. Exit status 1 if a step does not fit; FILE.json is written in any case.
"""

import argparse
from typing import Any

from ecor_jax.commands import cli


def main(args: argparse.Namespace) -> None:
    import jax

    from ecor_jax.tasks.compile import compile_aot

    # With libtpu installed, JAX would look for a local TPU, which is not needed.
    jax.config.update("jax_platforms", "cpu")
    output = cli.output_file(args.output)
    sizes = {name: getattr(args, name) for name in ("classes", "rationales", "identities")}
    compile_aot(cli.config_of(args), args.topology, output, slices=args.slices, **sizes)


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    cli.add_config(parser)
    parser.add_argument("--topology", required=True, metavar="KIND:SHAPE", help="chips, such as v5e:16x16 or v5p:2x2x4")
    parser.add_argument("--slices", type=_positive, default=1, metavar="N", help="of that shape (default: 1)")
    parser.add_argument("--output", required=True, metavar="FILE.json", type=cli.path_arg, help="where the figures go")
    missing: dict[str, Any] = {"type": _positive, "metavar": "N"}
    parser.add_argument("--classes", **missing, help="how many, where data.rationales is not here")
    parser.add_argument("--rationales", **missing, help="how many, where data.rationales is not here")
    parser.add_argument("--identities", **missing, help="people to train on, where data.images is not here")
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 0 < number <= 10**9:
        raise argparse.ArgumentTypeError(f"is {text}; expected a number from 1 to {10**9}")
    return number

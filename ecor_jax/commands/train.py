"""Trains and evaluates the methods of a config. The same command resumes a run that was stopped.

    ecor-jax train --config=configs/X.py --workdir=DIR [--config.key=value ...]

DIR gets config.json, metrics.jsonl, results.json, report/, checkpoints/ and model/.
"""

import argparse

import ecor_jax
from ecor_jax.commands import cli

TRACED = 5
"""Number of steps in a trace."""


def main(args: argparse.Namespace) -> None:
    config = cli.config_of(args)
    if args.profile:
        config.profile = TRACED
    ecor_jax.train(config, args.workdir)


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    cli.add_config(parser)
    cli.add_processes(parser)
    cli.add_workdir(parser)
    traced = f"writes a trace of {TRACED} steps to DIR/profile, for Perfetto and TensorBoard"
    parser.add_argument("--profile", action="store_true", help=traced)
    return parser

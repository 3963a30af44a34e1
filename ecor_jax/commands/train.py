"""Trains what a config says. The same command continues a run that was stopped.

    ecor-jax train --config=configs/X.py --workdir=DIR [--config.key=value ...]

DIR gets config.json, metrics.jsonl, results.json, report/, checkpoints/ and model/.
"""

import argparse

import ecor_jax
from ecor_jax.commands import cli


def main(args: argparse.Namespace) -> None:
    ecor_jax.train(cli.config_of(args), args.workdir)


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    cli.add_config(parser)
    cli.add_processes(parser)
    cli.add_workdir(parser)
    return parser

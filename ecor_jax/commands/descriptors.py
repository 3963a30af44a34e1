"""Radiology reports to their atomic descriptors: what each says is present, absent or uncertain.

    ecor-jax descriptors --reports=PATH --output=DIR [--splitter=rules|model|NAME_OR_DIR]

PATH is Open-I's table of reports (.csv, .csv.gz with uid, findings, impression), or a folder or zip of .txt reports as
MIMIC-CXR has them. DIR gets statements.jsonl (a line a report), descriptors.csv and a page, index.html.

The splitter is `rules` (offline, seconds for thousands of reports), or a causal language model: `model` is
mistralai/Mistral-7B-Instruct-v0.3, anything else a hub id or a local directory. It needs PyTorch (the extra `reports`)
and goes on from what an interrupted run saved.
"""

import argparse

from ecor_jax.commands import cli


def main(args: argparse.Namespace) -> None:
    # Imported late: --help and a mistyped option answer at once.
    from ecor_jax.radiology.reports.run import run

    print("\n".join(run(args.reports, args.output, args.splitter, args.sections, args.batch_size)))


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--reports", required=True, type=cli.a_path, metavar="PATH", help="table, folder or zip of reports"
    )
    parser.add_argument("--output", required=True, type=cli.a_path, metavar="DIR", help="folder of the results")
    parser.add_argument(
        "--splitter",
        default="rules",
        metavar="rules|model|NAME_OR_DIR",
        help="rules (default), model (Mistral-7B-Instruct), or another model's hub id or directory",
    )
    parser.add_argument(
        "--sections",
        default="findings+impression",
        choices=["last", "findings+impression"],
        help="what of a report is read (default: %(default)s); "
        "`last`: its impression, else findings, else last paragraph",
    )
    parser.add_argument(
        "--batch_size", type=int, default=8, help="reports a language model answers at once (default: %(default)s)"
    )
    return parser

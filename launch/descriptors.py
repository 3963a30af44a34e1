"""Radiology reports to their atomic descriptors: what each says is present, absent or uncertain.

    python -m launch.descriptors --reports=PATH --output=DIR [--splitter=rules|MODEL]

PATH is Open-I's table of reports (.csv, .csv.gz with uid, findings, impression), or a folder or zip of .txt reports as
MIMIC-CXR has them. DIR gets statements.jsonl (a line a report), descriptors.csv and a page, index.html.

The splitter is `rules` (offline, seconds for thousands of reports), or a causal language model: a hub id such as
mistralai/Mistral-7B-Instruct-v0.3, or a local directory; that one goes on from what an interrupted run saved.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ecor_jax.reports.sections import SECTIONS
from launch import cli


def main(args: argparse.Namespace) -> None:
    # Imported late: --help and a mistyped option answer at once.
    from ecor_jax.explain.formatting import duration
    from ecor_jax.runs import descriptors

    found = descriptors.run(args.reports, args.output, args.splitter, args.sections, args.batch_size)
    print(
        f"{found.reports:,} reports in {duration(found.seconds)}: {found.statements:,} statements, "
        f"{found.descriptors:,} descriptors"
    )
    _tell("without text that describes a picture", found.empty)
    _tell("with such text, but without a statement", found.silent)
    print(f"wrote {found.page}")


def _tell(what: str, names: Sequence[str]) -> None:
    if names:
        from ecor_jax.data.files import some_of

        print(f"{what}: {len(names):,} ({some_of(names)})")


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    parser.add_argument("--reports", required=True, type=Path, metavar="PATH", help="table, folder or zip of reports")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the results")
    parser.add_argument("--splitter", default="rules", metavar="rules|MODEL", help="rules, a hub id or a directory")
    parser.add_argument(
        "--sections",
        default="findings+impression",
        choices=SECTIONS,
        help="what of a report is read; `last` is its impression, else findings, else last paragraph",
    )
    parser.add_argument("--batch_size", type=int, default=8, help="reports a language model answers at once")
    return parser


if __name__ == "__main__":
    cli.run(main, parser())

"""Splits radiology reports into atomic descriptors, each of which is stated as present, absent or uncertain.

    ecor-jax descriptors --reports=PATH --output=DIR [--splitter=rules|model|NAME_OR_DIR]

PATH is Open-I's table of reports (.csv, .csv.gz with uid, findings, impression), or a folder or zip of .txt reports in
MIMIC-CXR's form. DIR gets statements.jsonl (one line per report), descriptors.csv and a page, index.html.

The splitter is `rules` (offline, seconds for thousands of reports), or a causal language model: `model` is
mistralai/Mistral-7B-Instruct-v0.3, any other value is a hub id or a local directory. A language model needs PyTorch
(the extra `reports`) and resumes an interrupted run.
"""

import argparse

from ecor_jax.commands import cli


def main(args: argparse.Namespace) -> None:
    from ecor_jax.radiology.reports.run import run

    print("\n".join(run(args.reports, args.output, args.splitter, args.sections, args.batch_size)))


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("--reports", required=True, type=cli.path_arg, metavar="PATH", help="table, folder or zip of reports")
    add("--output", required=True, type=cli.path_arg, metavar="DIR", help="folder of the results")
    splitters = "rules (default), model (Mistral-7B-Instruct), or another model's hub id or directory"
    add("--splitter", default="rules", metavar="rules|model|NAME_OR_DIR", help=splitters)
    read = "what of a report is read (default: %(default)s); `last`: its impression, else findings, else last paragraph"
    add("--sections", default="findings+impression", choices=["last", "findings+impression"], help=read)
    add("--batch_size", type=int, default=8, help="reports a language model answers at once (default: %(default)s)")
    return parser

"""Runs the rows of a table with every seed, and writes their means, ranges and intervals.

    ecor-jax table --config=configs/tables/X.py --workdir=DIR

Each row with each seed is a run of its own, below DIR/cells; a stopped table goes on from what is saved, and runs that
are done are not run again. DIR gets table.json, table.md and report/index.html, a page with the table and plots.
"""

import argparse
import re
from pathlib import Path

from ecor_jax.commands import cli
from ecor_jax.errors import UserError


def main(args: argparse.Namespace) -> None:
    from filelock import FileLock

    from ecor_jax.atomic import new_file, write_json
    from ecor_jax.tables.markdown import find_block, insert, markdown
    from ecor_jax.tables.options import cells_of, read_table
    from ecor_jax.tables.page import write_summary_page
    from ecor_jax.tables.run import run_cells
    from ecor_jax.tables.summary import summarise

    table = read_table(cli.config_of(args))
    cells = cells_of(table, args.workdir)
    name = _name(args.config)
    if args.into is not None:
        find_block(args.into, name)
    args.workdir.mkdir(parents=True, exist_ok=True)
    failed = run_cells(cells, args.shard)
    # Shards that end at once write one after the other, each what is done by then.
    with FileLock(args.workdir / ".table.lock"):
        summary = summarise(table, cells, failed)
        text = markdown(summary)
        write_json(args.workdir / "table.json", summary)
        with new_file(args.workdir / "table.md") as partial:
            partial.write_text(f"# {table.title}\n\n{text}", encoding="utf-8")
        page = write_summary_page(args.workdir / "report", summary)
        if args.into is not None:
            insert(args.into, name, summary)
    print(f"\n{text}\n{args.workdir / 'table.md'}, {page}")
    if summary["failed"]:
        raise UserError("failed: " + "; ".join(f"{name}: {why}" for name, why in summary["failed"].items()))


def parser() -> argparse.ArgumentParser:
    parser = cli.parser(__doc__)
    cli.add_config(parser)
    cli.add_workdir(parser)
    shard = "runs every N-th run only, beginning with the I-th; without it, all. Shards share DIR"
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help=shard)
    into = "also replaces this table in a Markdown file, between <!-- table FOLDER/NAME.json --> and "
    into += "<!-- end of table -->, and writes FOLDER/NAME.json; NAME is that of the config"
    parser.add_argument("--into", type=cli.path_arg, metavar="FILE.md", help=into)
    return parser


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"is {text!r}; expected I/N with I from 1 to N, such as 1/4")
    return int(found[1]), int(found[2])


def _name(config: str) -> str:
    """Returns the name of a table: `rationales` for configs/tables/rationales.py, with `-ROW` for FILE.py:ROW."""
    file, _, row = config.partition(".py:")
    return Path(file).stem + (f"-{row.replace('/', '-')}" if row else "")

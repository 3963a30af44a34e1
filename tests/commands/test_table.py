"""ecor-jax table: every cell a run, failures told at the end, changed rows run again, done ones not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ecor_jax.commands import table
from ecor_jax.errors import UserError

FILE = """
from ecor_jax.config.options import config_of
from ecor_jax.tables.options import Row, Table

def get_config():
    config = "configs/folder.py"
    rows = {{
        "clip": Row(config, "method=clip", seeds=("0",)),
        "dror": Row(config, "method=dror,ecor", "dror"),
        "ecor": Row(config, "method=dror,ecor", "ecor"),
        "again": Row(config, "method=ecor evaluation.top_k=3", evaluates="ecor"),
        {more}
    }}
    columns = {{"RR": "rr", "accuracy": "accuracy"}}
    return config_of(Table(title="Squares", columns=columns, rows=rows, reference="clip", seeds=("0", "1"),
                           options="{options}"))
"""


@pytest.fixture
def run(called, tmp_path, tiny_clip, tiny_pictures):
    """The command on a table of the coloured squares, with more rows; returns the workdir."""
    images, rationales = tiny_pictures
    options = f"model={tiny_clip} data.images={images} data.rationales={rationales} data.name=squares"
    options += " data.batch_size=8 steps=2 report.pictures=1"

    def call(*more: str, changed: str = "", arguments: tuple[str, ...] = ()) -> Path:
        text = FILE.format(more="\n        ".join(more), options=f"{options} {changed}".strip())
        (tmp_path / "mine.py").write_text(text)
        called(table, f"--config={tmp_path / 'mine.py'}", f"--workdir={tmp_path / 'run'}", *arguments)
        return tmp_path / "run"

    return call


def done(workdir: Path) -> dict[str, int]:
    """When each cell was done."""
    return {
        str(path.parent.relative_to(workdir / "cells")): path.stat().st_mtime_ns
        for path in workdir.glob("cells/*/*/cell.json")
    }


ONE = ("--config.seeds=0",)
CELLS = {"clip/seed_0", "dror/seed_0", "dror/seed_1", "again/seed_0", "again/seed_1"}


def test_a_table_with_a_row_that_fails_goes_on_and_is_mended(run, tmp_path):
    broken = '"broken": Row(config, "method=ecor data.images=/nowhere", seeds=("0",)),'
    with pytest.raises(UserError, match=r"failed: broken, seed 0: /nowhere does not exist"):
        run(broken, arguments=ONE)
    workdir = tmp_path / "run"
    first = done(workdir)
    assert set(first) == {name for name in CELLS if name.endswith("0")}
    written = json.loads((workdir / "table.json").read_text())
    assert list(written["rows"]) == ["clip", "dror", "ecor", "again"] and list(written["failed"]) == ["broken, seed 0"]
    for row, folder in (("dror", "dror"), ("ecor", "dror"), ("again", "again")):
        results = json.loads((workdir / "cells" / folder / "seed_0" / "results.json").read_text())
        rates = results["methods"]["ecor" if row == "again" else row]
        column = written["rows"][row]["columns"]["RR"]
        assert column["values"] == {"0": rates["rr"]} and column["difference"]["interval"] is not None
    assert "Failed: broken, seed 0" in (workdir / "table.md").read_text()
    assert "broken, seed 0" in (workdir / "report" / "index.html").read_text()
    # Without the row that fails, nothing is run again.
    run(arguments=ONE)
    assert done(workdir) == first and json.loads((workdir / "table.json").read_text())["failed"] == {}
    # A changed row is run again, and what evaluates its model; the old runs are kept aside.
    config = json.loads((workdir / "cells" / "dror" / "seed_0" / "config.json").read_text())
    run(changed="optimizer.learning_rate=0.5", arguments=ONE)
    aside = workdir / "cells" / "dror" / "seed_0.old1"
    assert json.loads((aside / "config.json").read_text()) == config and (aside / "results.json").is_file()
    again = done(workdir)
    assert set(again) > set(first) and all(again[name] > first[name] for name in first)
    assert not (workdir / "cells" / "dror" / "seed_0.old2").exists()


@pytest.mark.slow
def test_shards_share_a_table_and_a_cell_at_work_is_left_to_its_command(run, tmp_path):
    workdir = run(arguments=("--shard=1/2",))
    assert set(done(workdir)) == {"clip/seed_0", "dror/seed_1", "again/seed_1"}
    assert json.loads((workdir / "table.json").read_text())["missing"]
    busy = workdir / "cells" / "dror" / "seed_0"
    busy.mkdir(parents=True)
    hold = "import sys, filelock; x = filelock.FileLock(sys.argv[1]); x.acquire(); print('held', flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", hold, busy / ".lock"], stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=r"failed: dror, seed 0: .* another run is at work in it; wait"):
            run(arguments=("--shard=2/2",))
        holder.communicate("\n")
    run()
    assert set(done(workdir)) == CELLS


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_a_shard_that_is_none(run, shard, capsys):
    with pytest.raises(SystemExit):
        run(arguments=(f"--shard={shard}",))
    assert "expected I/N with I from 1 to N" in capsys.readouterr().err


def test_a_file_without_a_place_for_the_table_is_refused_before_the_runs(run, tmp_path):
    for text, message in ((None, "notes.md: no such file"), ("nothing", "notes.md: no block of the table mine")):
        if text is not None:
            (tmp_path / "notes.md").write_text(text)
        with pytest.raises(UserError, match=message):
            run(arguments=(f"--into={tmp_path / 'notes.md'}",))
    assert not (tmp_path / "run").exists()

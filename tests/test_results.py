"""The tables of RESULTS.md are what `ecor-jax table --into=RESULTS.md` makes of the runs' table.json."""

import json
from pathlib import Path

import pytest

from ecor_jax.config.files import load_config
from ecor_jax.tables.markdown import blocks, markdown
from ecor_jax.tables.options import read_table

ROOT = Path(__file__).parents[1]
BLOCKS = blocks((ROOT / "RESULTS.md").read_text())


@pytest.mark.parametrize("path", BLOCKS)
def test_a_block_is_its_json(path):
    summary = json.loads((ROOT / path).read_text())
    assert BLOCKS[path] == markdown(summary)
    assert not summary["failed"] and not summary["missing"]


@pytest.mark.parametrize("path", BLOCKS)
def test_the_shipped_table_still_has_these_rows(path, monkeypatch):
    monkeypatch.delenv("ECOR_DATA", raising=False)  # the tables were made with the folder that is the default
    summary, (name, _, row) = json.loads((ROOT / path).read_text()), Path(path).stem.partition("-")
    row = row.replace("-", "/")  # as of nih/table3
    table = read_table(load_config(f"configs/tables/{name}.py{row and f':{row}'}", ()))
    assert list(summary["rows"]) == list(table.shown_rows) and summary["columns"] == table.columns
    for name, own in summary["rows"].items():
        assert (own["config"], own["options"]) == (table.rows[name].config, table.rows[name].options)


def test_every_json_has_a_block():
    assert BLOCKS and {str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "tables").glob("*.json")} == set(BLOCKS)

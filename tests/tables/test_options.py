"""What a table's config asks for, and what is refused before anything runs."""

import shlex
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from ecor_jax.config.files import load_config, read_config, shipped
from ecor_jax.config.options import config_of, plain
from ecor_jax.errors import UserError
from ecor_jax.tables.options import Row, Table, cells_of, read_table

QUICK = "configs/quickstart.py"
ROWS = {
    "zero": Row(QUICK, "method=clip", seeds=("0",)),
    "dror": Row(QUICK, "method=dror,ecor", "dror"),
    "ecor": Row(QUICK, "method=dror,ecor", "ecor"),
    "seeded": Row(QUICK, "method=ecor data.seed={seed} 'templates.outer=I see {r}'"),
    "moved": Row(QUICK, "method=ecor data.style=target", evaluates="ecor"),
}


def table(**changes) -> Table:
    given = {"title": "A table", "columns": {"RR": "rr"}, "rows": ROWS, "seeds": ("0", "1")} | changes
    return read_table(config_of(Table(**given)))


def test_a_cell_for_every_row_and_seed_and_rows_of_equal_runs_share_them():
    cells = {(cell.row, cell.seed): cell for cell in cells_of(table(options="steps=7"), Path("dir"))}
    assert list(cells) == [
        *(("zero", 0), ("dror", 0), ("ecor", 0), ("seeded", 0), ("moved", 0)),
        *(("dror", 1), ("ecor", 1), ("seeded", 1), ("moved", 1)),
    ]
    assert all(cell.options.steps == 7 and cell.options.seed == seed for (_, seed), cell in cells.items())
    shared = Path("dir/cells/dror/seed_1")
    assert cells["dror", 1].workdir == cells["ecor", 1].workdir == cells["moved", 1].evaluates.workdir == shared
    assert cells["moved", 1].workdir == Path("dir/cells/moved/seed_1") and cells["zero", 0].evaluates is None
    assert cells["seeded", 1].options.data.seed == 1 and cells["seeded", 1].options.templates.outer == "I see {r}"


def test_the_command_of_a_cell_makes_its_run():
    for cell in cells_of(table(), Path("dir")):
        name, *arguments = shlex.split(cell.command)
        given = dict(argument.removeprefix("--").split("=", 1) for argument in arguments if argument[:9] != "--config.")
        options = [argument.removeprefix("--config.") for argument in arguments if argument[:9] == "--config."]
        assert load_config(given["config"], options).to_dict() == config_of(cell.options).to_dict()
        assert given.get("workdir", "") == (str(cell.workdir) if name == "train" else "")
        assert given.get("model") == (str(cell.evaluates.workdir / "model") if name == "evaluate" else None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": {}}, "rows is empty"),
        ({"columns": {}}, "columns is empty"),
        ({"rows": {"a/b": Row(QUICK)}}, "the row 'a/b': expected letters"),
        ({"rows": {"a": Row(QUICK, shown=False)}}, "no row is shown"),
        ({"reference": "none"}, "reference: no row 'none'; there are: zero, dror"),
        ({"published": {"ecor": {"RR": 1.0}}}, "source is empty"),
        ({"plain": ("RW",)}, "plain: no column 'RW'; there are: RR"),
        ({"x": "RW"}, "x: no column 'RW'; there are: RR"),
        ({"published": {"none": {"RR": 1.0}}}, "published: no row 'none'"),
        ({"published": {"ecor": {"RW": 1.0}}}, "published.ecor: no column 'RW'; there are: RR"),
        ({"rows": {"a": Row(QUICK, evaluates="b")}}, "rows.a.evaluates is 'b'; expected another row"),
        ({"rows": {"a": Row(QUICK, seeds=("0",)), "b": Row(QUICK, evaluates="a")}}, "rows.b.seeds: expected some of"),
        ({"seeds": ("0", "one")}, "seeds: 'one'; expected numbers"),
    ],
)
def test_a_table_that_cannot_be_made(changes, message):
    with pytest.raises(UserError, match=message):
        cells_of(table(**changes), Path("dir"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Row(QUICK, "prompts.number=4"), "the row odd: --config.prompts.number: no such option; there are: "),
        (Row(QUICK, "steps=many"), "the row odd: --config.steps=many: expected int"),
        (Row(QUICK, "method=guess"), None),  # told by the task, when the row runs
        (Row(QUICK, "steps=0"), "the row odd: steps is 0; expected 1"),
        (Row(QUICK, "'steps=1"), "the row odd: No closing quotation"),
        (Row("configs/none.py"), "the row odd: configs/none.py: no such config"),
    ],
)
def test_a_row_that_names_no_option_or_config(row, message):
    asked = table(rows={"fine": Row(QUICK), "odd": row})
    if message is None:
        assert len(cells_of(asked, Path("dir"))) == 4
        return
    with pytest.raises(UserError) as error:
        cells_of(asked, Path("dir"))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("columns", ["rr"], r"columns is \['rr'\]; expected a group of options"),
        ("published", {"ecor": 3.0}, "published.ecor is 3.0; expected a group of options"),
        ("seeds", 3, "seeds is 3; expected a text with commas"),
        ("seeds", (0, 1), r"seeds is \(0, 1\); expected a text with commas"),
    ],
)
def test_options_of_other_types(field, value, message):
    given = plain(Table(columns={"RR": "rr"}, rows=ROWS)) | {field: value}
    with pytest.raises(UserError, match=message):
        read_table(ConfigDict(given))


def test_a_run_stays_where_it_is_if_rows_that_share_it_are_moved(tmp_path):
    (tmp_path / "cells" / "ecor" / "seed_0").mkdir(parents=True)
    cells = {(cell.row, cell.seed): cell.workdir for cell in cells_of(table(), tmp_path)}
    assert cells["dror", 0] == cells["ecor", 0] == tmp_path / "cells" / "ecor" / "seed_0"
    assert cells["ecor", 1] == tmp_path / "cells" / "dror" / "seed_1"


def test_a_config_of_a_run_is_no_table():
    with pytest.raises(UserError, match="the config has no rows"):
        read_table(read_config(shipped() / "quickstart.py"))


TABLES = sorted(path for path in (shipped() / "tables").glob("*.py") if "def get_config" in path.read_text())
SETS = {
    "rationales.py": ("tiny_imagenet", "cifar10", "published/food101", "published/imagenet"),
    "bottlenecks.py": ("caltech101",),
    "prompts.py": ("few_drawings", "cifar10"),
    "questions.py": ("count", "part", "where", "caption"),
    "templates.py": ("cifar10",),
    "transfer.py": ("cifar10", "caltech101"),
    "faces.py": ("orl/table5", "ms1mv2/table1", "ms1mv2/table4", "ms1mv2/table5", "ms1mv2/table6", "ms1mv2/table7"),
    "xray.py": ("nih/table3", "mimic/table2", "mimic/table3"),
}


@pytest.mark.parametrize(
    "name",
    [name for path in TABLES for name in (path.name, *(f"{path.name}:{row}" for row in SETS.get(path.name, ())))],
)
def test_a_shipped_table(name):
    asked = read_table(load_config(f"configs/tables/{name}", ()))
    cells = cells_of(asked, Path("dir"))
    assert {cell.row for cell in cells} == set(asked.rows) and asked.title and asked.about
    assert (
        f"--config=configs/tables/{name.partition(':')[0]}" in (shipped() / "tables" / name.split(":")[0]).read_text()
    )
    if asked.published:
        assert asked.source and all(0 < value < 100 for row in asked.published.values() for value in row.values())


def test_an_unknown_table_lists_the_shipped_ones():
    with pytest.raises(UserError, match=r"no such config; there are: configs/tables/bottlenecks.py, "):
        load_config("configs/tables/none.py", ())

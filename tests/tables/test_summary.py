"""Means, ranges and intervals of a table, against SciPy's bootstrap and against values worked by hand."""

import json

import numpy as np
import pytest
from scipy import stats

from ecor_jax.errors import UserError
from ecor_jax.tables import summary
from ecor_jax.tables.markdown import blocks, difference_text, insert, is_clear, markdown, range_text
from ecor_jax.tables.options import Cell, Row, Table
from ecor_jax.tables.page import write_summary_page
from ecor_jax.tasks.outcomes import Outcomes, read_outcomes, write_outcomes
from ecor_jax.tasks.rationale.options import RationaleOptions
from ecor_jax.tasks.rationale.task import Rationale

NAMES = tuple(f"{number}.png" for number in range(60))
RNG = np.random.default_rng(0)
RIGHT = {
    ("base", 0): RNG.random(60) < 0.4,
    ("base", 1): RNG.random(60) < 0.4,
    ("tuned", 0): RNG.random(60) < 0.8,
    ("tuned", 1): RNG.random(60) < 0.7,
    ("once", 0): RNG.random(60) < 0.5,
}


@pytest.fixture
def cells(tmp_path) -> list[Cell]:
    """Folders of runs that are done; each has an accuracy, a mean over NAMES, and a score that is no mean."""
    made = []
    for (row, seed), right in RIGHT.items():
        folder = tmp_path / row / str(seed)
        folder.mkdir(parents=True)
        entry = {"accuracy": float(right.mean()), "score": 0.25 * seed, "nothing": None}
        (folder / "results.json").write_text(json.dumps({"methods": {"only": entry}}))
        (folder / "cell.json").write_text(json.dumps({"id": "x", "seconds": 2.0, "command": f"{row} {seed}"}))
        write_outcomes(folder / "outcomes.safetensors", {"methods.only": Outcomes.of(NAMES, {"accuracy": right})})
        made.append(Cell(row, seed, Rationale, RationaleOptions(), folder, None, ""))
    return [*made, Cell("absent", 0, Rationale, RationaleOptions(), tmp_path / "absent", None, "")]


def table(**changes) -> Table:
    rows = {row: Row("c.py") for row in ("base", "tuned")}
    rows |= {row: Row("c.py", seeds=("0",)) for row in ("once", "absent")}
    columns = {"Acc": "accuracy", "Score": "score", "None": "nothing"}
    given = {"title": "T", "about": "A.", "columns": columns, "rows": rows, "reference": "base", "seeds": ("0", "1")}
    return Table(**given | changes)


def test_means_and_ranges_over_seeds(cells):
    found = summary.summarise(table(published={"tuned": {"Acc": 70.0}}), cells, {})
    assert list(found["rows"]) == ["base", "tuned", "once"]
    tuned = found["rows"]["tuned"]["columns"]
    values = [RIGHT["tuned", seed].mean() for seed in (0, 1)]
    assert tuned["Acc"]["mean"] == pytest.approx(np.mean(values)) and tuned["Acc"]["published"] == 70.0
    assert (tuned["Acc"]["min"], tuned["Acc"]["max"]) == (min(values), max(values))
    assert tuned["Score"]["values"] == {"0": 0.0, "1": 0.25} and tuned["Score"]["interval"] is None
    assert tuned["None"]["mean"] is None and tuned["None"]["difference"] is None
    assert found["rows"]["base"]["columns"]["Acc"]["difference"] is None
    assert found["missing"] == ["absent, seed 0"] and found["failed"] == {}
    failed = summary.summarise(table(), cells, {cells[-1].workdir: "it broke"})
    assert failed["missing"] == [] and failed["failed"] == {"absent, seed 0": "it broke"}


def test_intervals_are_those_of_the_mean_over_seeds_by_example(cells):
    """With the same examples for every seed, they are those of an ordinary bootstrap of the means over seeds."""
    found = summary.summarise(table(), cells, {})["rows"]
    mean = {row: (RIGHT[row, 0] + 0.0 + RIGHT[row, 1]) / 2 for row in ("base", "tuned")}
    for values, spread in (
        (mean["tuned"], found["tuned"]["columns"]["Acc"]),
        (mean["tuned"] - mean["base"], found["tuned"]["columns"]["Acc"]["difference"]),
        # A row that does not depend on the seed is compared with every seed of the other.
        (RIGHT["once", 0] - mean["base"], found["once"]["columns"]["Acc"]["difference"]),
    ):
        expected = stats.bootstrap(
            (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
        )
        assert spread["mean"] == pytest.approx(values.mean(), abs=1e-6)
        assert spread["interval"] == pytest.approx(list(expected.confidence_interval), abs=0.02)
    once = found["once"]["columns"]["Acc"]["difference"]["values"]
    assert once == {str(seed): pytest.approx(RIGHT["once", 0].mean() - RIGHT["base", seed].mean()) for seed in (0, 1)}


def test_other_examples_are_not_paired(cells):
    other = Outcomes.of(NAMES[::-1], {"accuracy": RIGHT["tuned", 0]})
    write_outcomes(cells[2].workdir / "outcomes.safetensors", {"methods.only": other})
    accuracy = summary.summarise(table(), cells, {})["rows"]["tuned"]["columns"]["Acc"]
    assert accuracy["interval"] is not None and accuracy["difference"] is None


def test_a_missing_seed_is_not_replaced_by_another(cells):
    """Only a row that does not depend on the seed stands for every seed."""
    (cells[3].workdir / "cell.json").write_text("{")  # tuned, seed 1
    found = summary.summarise(table(), cells, {})
    accuracy = found["rows"]["tuned"]["columns"]["Acc"]
    assert accuracy["values"].keys() == accuracy["difference"]["values"].keys() == {"0"}
    assert range_text(accuracy).endswith(", 1 of 2 seeds") and "tuned, seed 1" in found["missing"]
    assert accuracy["difference"]["mean"] == pytest.approx(RIGHT["tuned", 0].mean() - RIGHT["base", 0].mean())


def test_seeds_with_fewer_examples_count_alike(cells):
    """The interval is of the mean that is shown, however many examples each seed has."""
    few = Outcomes.of(tuple(f"other {name}" for name in NAMES[:20]), {"accuracy": np.ones(20, bool)})
    write_outcomes(cells[3].workdir / "outcomes.safetensors", {"methods.only": few})
    low, high = summary.summarise(table(reference=""), cells, {})["rows"]["tuned"]["columns"]["Acc"]["interval"]
    # With all examples alike, the mean would be lower by (1 - 0.8) / 4.
    assert abs((low + high) / 2 - (RIGHT["tuned", 0].mean() + 1) / 2) < 0.02


def test_one_example_has_no_interval(cells):
    for cell in cells[:2]:
        one = Outcomes.of(("a.png",), {"accuracy": np.array([True])})
        write_outcomes(cell.workdir / "outcomes.safetensors", {"methods.only": one})
    assert summary.summarise(table(), cells, {})["rows"]["base"]["columns"]["Acc"]["interval"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": {"Acc": "accurate"}}, "no metric 'accurate'; there are: accuracy, score, nothing"),
        ({"rows": {"tuned": Row("c.py", method="other")}}, "no method 'other'; there are: only"),
    ],
)
def test_a_row_without_the_metric_fails_and_the_others_stay(cells, changes, message):
    given = vars(table()) | {"reference": ""} | changes
    failed = summary.summarise(Table(**given), cells, {})["failed"]
    assert message in failed["tuned"]


def test_outcomes_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "outcomes.safetensors"
    assert read_outcomes(path) == {}
    write_outcomes(path, {})
    assert not path.exists()
    written = Outcomes.of(("a", "b"), {"rr": np.array([True, False]), "top1": np.array([True, True])})
    write_outcomes(path, {"methods.x": written})
    (found,) = read_outcomes(path).values()
    assert found[:2] == (("rr", "top1"), ("a", "b")) and found.values.tolist() == [[1, 0], [1, 1]]
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match="not a file of outcomes"):
        read_outcomes(path)


def test_texts():
    spread = {"mean": 0.536, "min": 0.53, "max": 0.543, "values": {"0": 0.53, "1": 0.543}, "seeds": 2}
    assert range_text(spread) == "53.6 (53.0 to 54.3)" and range_text({**spread, "min": 0.536, "max": 0.536}) == "53.6"
    clear = {"mean": 0.02, "min": 0.01, "max": 0.03, "interval": [0.005, 0.035], "values": {"0": 0.02}, "seeds": 1}
    assert difference_text(clear) == "**+2.0 (+0.5 to +3.5)**"
    for change in ({"min": -0.01}, {"interval": [-0.001, 0.03]}, {"interval": None}):
        assert not is_clear(clear | change)
    assert is_clear({"mean": -0.02, "min": -0.03, "max": -0.01, "interval": [-0.03, -0.01]})
    assert (range_text({"mean": None}), difference_text(None)) == ("-", "-")


def test_columns_that_are_no_shares(cells):
    found = summary.summarise(table(plain=("Score",), x="Score"), cells, {})
    columns = found["rows"]["tuned"]["columns"]
    score = columns["Score"]
    assert score["plain"] and range_text(score) == "0.1 (0.0 to 0.2)" and "plain" not in columns["Acc"]
    assert difference_text(score["difference"]) == "+0.0" and found["x"] == "Score"
    text = markdown(found)
    assert (
        text.startswith("In per cent, except for Score; mean")
        and "in percentage points, except for Score, with" in text
    )
    large = {"mean": 10164.0, "min": 9999.9, "max": 10328.0, "plain": True, "values": {"0": 1.0}, "seeds": 1}
    assert range_text(large) == "10,164 (10,000 to 10,328)"


def test_markdown_and_its_place_in_a_file(cells, tmp_path):
    found = summary.summarise(table(published={"tuned": {"Acc": 70.0}}, source="S"), cells, {cells[-1].workdir: "why"})
    text = markdown(found)
    assert "| row | Acc | Score | None | Acc, published |\n" in text and "Published: S." in text
    assert "| `tuned` | +" not in text.split("Differences")[0] and "Failed: absent, seed 0 (why)." in text
    file = tmp_path / "RESULTS.md"
    file.write_text("before\n<!-- table docs/mine.json -->\nold\n<!-- end of table -->\nafter\n")
    insert(file, "mine", found)
    insert(file, "mine", found)
    written = file.read_text()
    assert written.startswith("before\n") and written.endswith("\nafter\n") and "\nold\n" not in written
    assert (
        blocks(written) == {"docs/mine.json": text} and json.loads((tmp_path / "docs/mine.json").read_text()) == found
    )
    with pytest.raises(UserError, match="no block of the table other"):
        insert(file, "other", found)


def test_the_page_shows_every_row_and_what_failed(cells, tmp_path):
    found = summary.summarise(table(published={"tuned": {"Acc": 70.0}}, source="S"), cells, {cells[-1].workdir: "why"})
    page = write_summary_page(tmp_path / "report", found).read_text()
    for text in ("tuned 0", "absent, seed 0: why", "Compared with base", 'class="published"'):
        assert text in page
    strips = page.count('<svg class="bar interval"')
    # A strip for every row and column with values, of the means and of the differences, and an axis for each plot.
    assert strips == (3 + 3) + (2 + 2) + 4

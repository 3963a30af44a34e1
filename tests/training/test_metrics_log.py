"""metrics.jsonl: whole lines, no step twice, several runs in one file."""

import math

import pytest

from ecor_jax.errors import UserError
from ecor_jax.training.metrics_log import MetricsLog, read_metrics


def steps(path, run):
    return [line["step"] for line in read_metrics(path) if line["run"] == run]


def test_a_line_is_on_disk_when_write_returns_and_comes_back_exactly(tmp_path):
    path = tmp_path / "new" / "metrics.jsonl"
    assert read_metrics(path) == []
    log = MetricsLog(path, "ecor")
    log.drop_after(0)
    log.write(10, {"loss": 1.5, "examples_per_second": math.pi / 1e20})
    expected = f'{{"run": "ecor", "step": 10, "loss": 1.5, "examples_per_second": {math.pi / 1e20}}}\n'
    assert path.read_text() == expected
    assert read_metrics(path) == [{"run": "ecor", "step": 10, "loss": 1.5, "examples_per_second": math.pi / 1e20}]


def test_only_this_runs_lines_after_the_step_are_dropped(tmp_path):
    path = tmp_path / "m"
    for run in ("dror", "ecor"):
        log = MetricsLog(path, run)
        log.drop_after(0)
        for step in (1, 2, 3):
            log.write(step, {"loss": step})
    MetricsLog(path, "dror").drop_after(2)
    assert steps(path, "dror") == [1, 2]
    assert steps(path, "ecor") == [1, 2, 3]
    assert [entry.name for entry in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("line", ["what", "[1]", '{"step": 3}', "\0\0\0"])
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / "m").write_text(f'{{"run": "a", "step": 1}}\n{line}\n{{"run": "a", "step": 2}}\n')
    with pytest.raises(UserError, match=r"m: line 2 .*expected"):
        read_metrics(tmp_path / "m")


@pytest.mark.parametrize(("torn", "kept"), [('{"run": "a", "step": 2}', 2), ('{"run": "a", "st', 1), ("[2", 1)])
def test_a_last_line_without_its_end_is_kept_if_it_can_be_read_and_mended(tmp_path, torn, kept):
    (tmp_path / "m").write_text('{"run": "a", "step": 1}\n' + torn)
    assert len(read_metrics(tmp_path / "m")) == kept
    log = MetricsLog(tmp_path / "m", "a")
    log.drop_after(2)
    log.write(3, {"loss": 1.0})
    assert steps(tmp_path / "m", "a") == [*[1, 2][:kept], 3]
    assert (tmp_path / "m").read_text().endswith("\n")


def test_a_full_disk_is_one_message(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"metrics\.jsonl: cannot be written .No space left"):
        MetricsLog(tmp_path / "metrics.jsonl", "a").write(1, {"loss": 1})

"""A workdir belongs to one config."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ecor_jax.config.options import RENAMED, defaults_of, plain, read
from ecor_jax.errors import UserError
from ecor_jax.tasks.rationale.options import RationaleOptions
from ecor_jax.training.workdir import locked_workdir, write_results

ROOT = Path(__file__).parents[2]
DEFAULTS = {"steps": 1, "data": {"images": "", "seed": 0}}


def config(**changes) -> dict:
    return {"steps": 3, "data": {"images": "a", "seed": 0}, **changes}


def claim(workdir: Path, config: dict, defaults: dict = DEFAULTS, may_change=()) -> None:
    with locked_workdir(workdir, config, defaults, may_change):
        pass


@pytest.fixture
def begun(tmp_path) -> Path:
    """The folder of a run that has saved something."""
    claim(tmp_path, config())
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def written(workdir: Path) -> dict:
    return json.loads((workdir / "config.json").read_text())


def test_a_new_workdir_gets_the_config_as_resolved_and_the_same_is_welcome_again(tmp_path):
    for changes in ({}, {}, {"steps": 4}):  # a run that left nothing gives way to other options
        claim(tmp_path / "a" / "b", config(**changes))
        assert written(tmp_path / "a" / "b") == config(**changes)


def test_every_differing_option_is_named(begun):
    with pytest.raises(UserError) as caught:
        claim(begun, config(steps=4, data={"images": "b", "seed": 0, "new": True}))
    message = str(caught.value)
    for option in ("steps (3 there, 4 now)", "data.images ('a' there, 'b' now)", "data.new (None there, True now)"):
        assert option in message
    assert "seed" not in message
    assert written(begun) == config()


def test_a_workdir_of_before_an_option_was_there_goes_on(begun):
    added = {"steps": 1, "data": {"images": "", "seed": 0, "on_long": "error"}}
    claim(begun, config(data={"images": "a", "seed": 0, "on_long": "error"}), added)
    assert written(begun)["data"]["on_long"] == "error"
    with pytest.raises(UserError, match=r"data.on_long \('error' there, 'skip' now\)"):
        claim(begun, config(data={"images": "a", "seed": 0, "on_long": "skip"}), added)


def test_a_group_that_only_some_runs_have_is_completed_too(tmp_path):
    """As the pretraining of a CLIP before a task."""
    given = read(RationaleOptions, {"pretrain": {"steps": 3}})
    before, now = plain(given), plain(given)
    del before["pretrain"]["data"]["questions"], before["data"]["on_overlap"]
    claim(tmp_path, before, defaults_of(given))
    (tmp_path / "checkpoints").mkdir()
    claim(tmp_path, now, defaults_of(given))
    assert written(tmp_path) == now and defaults_of(RationaleOptions())["pretrain"] == {}


@pytest.mark.parametrize("old", RENAMED)
def test_a_workdir_with_the_old_name_of_an_option_goes_on(old, tmp_path):
    def named(key: str, value: int) -> dict:
        group, name = key.split(".")
        return config(**{group: {name: value}, "pretrain": {group: {name: value}}})

    claim(tmp_path, named(old, 7))
    (tmp_path / "checkpoints").mkdir()
    claim(tmp_path, named(RENAMED[old], 7))
    assert written(tmp_path) == named(RENAMED[old], 7)
    with pytest.raises(UserError, match=rf"these differ: {RENAMED[old]} \(7 there, 8 now\), pretrain\."):
        claim(tmp_path, named(RENAMED[old], 8))


def test_options_that_only_say_where_it_runs_may_change(begun):
    moved = config(data={"images": "a", "seed": 1})
    claim(begun, moved, may_change={"data.seed"})
    assert written(begun) == moved
    with pytest.raises(UserError, match=r"these differ: steps \(3 there, 4 now\)\. "):
        claim(begun, config(steps=4), may_change={"data.seed"})


@pytest.mark.parametrize("content", ["{", "\xff\xfe", "[]", "3"])
def test_a_damaged_config_is_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=r"config\.json"):
        claim(tmp_path, config())


def test_a_place_where_no_folder_can_be(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/here")):
        with pytest.raises(UserError, match=str(path.parent)):
            claim(path, config())
    assert (tmp_path / "file").read_text() == "mine"


def test_one_run_at_a_time_and_the_lock_comes_before_the_config(tmp_path):
    with locked_workdir(tmp_path, config(), DEFAULTS):
        before = (tmp_path / "config.json").read_bytes()
        with locked_workdir(tmp_path, config(), DEFAULTS):  # around a run within a run
            pass
        program = f"""
import pathlib
from ecor_jax.training.workdir import locked_workdir
with locked_workdir(pathlib.Path({str(tmp_path)!r}), {{'steps': 4}}, {{}}): print('in')
"""
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
        assert "another run is at work in it" in ended.stderr and not ended.stdout
        assert (tmp_path / "config.json").read_bytes() == before
    claim(tmp_path, config())


def test_results_name_the_config_they_came_from(tmp_path):
    claim(tmp_path, config())
    write_results(tmp_path / "results.json", config(), {"accuracy": 0.5, "auroc": float("nan")})
    digest = hashlib.sha256((tmp_path / "config.json").read_bytes()).hexdigest()
    results = json.loads((tmp_path / "results.json").read_text())
    assert results == {"accuracy": 0.5, "auroc": None, "config_sha256": digest}

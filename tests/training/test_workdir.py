"""A workdir belongs to one config."""

import json
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from ecor_jax.errors import UserError
from ecor_jax.training.workdir import claim, write_json


def config(**changes) -> ConfigDict:
    return ConfigDict({"steps": 3, "data": {"images": "a", "seed": 0}, **changes})


def test_a_new_workdir_gets_the_config_as_resolved(tmp_path):
    claim(tmp_path / "a" / "b", config())
    found = json.loads((tmp_path / "a" / "b" / "config.json").read_text())
    assert found == {"steps": 3, "data": {"images": "a", "seed": 0}}


def test_the_same_config_is_welcome_again(tmp_path):
    claim(tmp_path, config())
    before = (tmp_path / "config.json").read_bytes()
    claim(tmp_path, config())
    assert (tmp_path / "config.json").read_bytes() == before


def test_every_differing_option_is_named(tmp_path):
    claim(tmp_path, config())
    (tmp_path / "checkpoints").mkdir()
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(UserError) as caught:
        claim(tmp_path, config(steps=4, data={"images": "b", "seed": 0, "new": True}))
    message = str(caught.value)
    assert "steps (3 there, 4 now)" in message
    assert "data.images ('a' there, 'b' now)" in message
    assert "data.new (None there, True now)" in message
    assert "seed" not in message
    assert (tmp_path / "config.json").read_bytes() == before


def test_a_run_that_left_nothing_gives_way(tmp_path):
    """Its options were wrong: with the right ones the same command goes through."""
    claim(tmp_path, config())
    claim(tmp_path, config(steps=4))
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 4


@pytest.mark.parametrize("content", ["{", "\xff\xfe", "[]", "3"])
def test_a_damaged_config_is_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=r"config\.json"):
        claim(tmp_path, config())


def test_a_file_is_no_workdir(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="file"):
            claim(path, config())
    assert (tmp_path / "file").read_text() == "mine"


def test_a_place_that_cannot_be_written():
    with pytest.raises(UserError, match="/proc/here"):
        claim(Path("/proc/here"), config())


def test_json_is_replaced_whole(tmp_path, monkeypatch):
    write_json(tmp_path / "x.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"new": object()})
    assert json.loads((tmp_path / "x.json").read_text()) == {"old": 1}


def test_a_full_disk_is_one_message(tmp_path):
    (tmp_path / "results.json.partial").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"results\.json.*No space left"):
        write_json(tmp_path / "results.json", {"a": 1})


def test_one_run_at_a_time(tmp_path):
    from ecor_jax.training.workdir import alone

    with alone(tmp_path), pytest.raises(UserError, match="another run is at work"), alone(tmp_path):
        pass
    with alone(tmp_path / "new"):
        assert (tmp_path / "new").is_dir()
    with alone(tmp_path):
        assert not list(tmp_path.glob("*lock*"))

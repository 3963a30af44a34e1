"""Files and folders are there whole or not at all; what a dead process left is swept, and nobody else's is touched."""

import errno
import itertools
import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ecor_jax import atomic
from ecor_jax.errors import UserError

ROOT = Path(__file__).parents[1]
LEFT = "*.ecor.partial"


def test_a_file_is_the_old_one_or_the_new_one(tmp_path):
    atomic.write_json(tmp_path / "x.json", {"old": 1})
    with pytest.raises(TypeError):
        atomic.write_json(tmp_path / "x.json", {"new": object()})
    assert json.loads((tmp_path / "x.json").read_text()) == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_full_disk_is_one_message(tmp_path):
    message = r"results\.json: cannot be written .No space left"
    with pytest.raises(UserError, match=message), atomic.new_file(tmp_path / "results.json") as partial:
        partial.symlink_to("/dev/full")
        partial.write_text("a")
    assert not list(tmp_path.iterdir())


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "any").touch()
    with atomic.new_directory(tmp_path / "model") as partial:
        (partial / "weights").touch(0o600)
    with atomic.new_file(tmp_path / "file") as partial:
        partial.touch(0o600)
    expected = stat.S_IMODE((tmp_path / "any").stat().st_mode)
    for name in ("model/weights", "file"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == expected


def test_a_folder_takes_the_place_of_an_older_one_and_what_is_to_be_kept_stays(tmp_path):
    model = tmp_path / "model"
    (model / "notes").mkdir(parents=True)
    for name in ("weights", "mine.txt", "notes/more.txt"):
        (model / name).write_text("old")
    with atomic.new_directory(model, keep=["mine.txt", "notes"]) as partial:
        (partial / "weights").write_text("new")
    found = {str(path.relative_to(model)): path.read_text() for path in model.rglob("*") if path.is_file()}
    assert found == {"weights": "new", "mine.txt": "old", "notes/more.txt": "old"}


PROGRAM = """
import os, signal, sys
from pathlib import Path
from ecor_jax import atomic

place, deadly, count = Path(sys.argv[1]), int(sys.argv[2]), 0

def watch(event, arguments):
    global count
    if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "tempfile.mkdtemp"):
        count += 1
        if count == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
with atomic.new_directory(place / "model", keep=["mine"]) as partial:
    (partial / "weights").write_text("new")
atomic.write_json(place / "results.json", {"new": 1})
"""


def test_killed_at_every_moment_nothing_is_lost_and_the_next_one_sweeps(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("old")
    (tmp_path / "model" / "mine").write_text("mine")
    for kills in itertools.count():
        ended = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path, str(kills + 1)], cwd=ROOT, timeout=60)
        assert ended.returncode in (0, -signal.SIGKILL)
        atomic.sweep(tmp_path)
        assert not list(tmp_path.glob(LEFT))
        assert (tmp_path / "model" / "mine").read_text() == "mine"
        assert (tmp_path / "model" / "weights").read_text() in ("old", "new")
        if ended.returncode == 0:
            break
    assert kills > 8


def test_a_file_system_without_locks_is_trusted(tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(atomic.fcntl, "flock", unknown)
    atomic.write_json(tmp_path / "x.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_what_a_living_process_writes_and_what_is_not_ours_is_left_alone(tmp_path):
    others = [".mine.partial", ".x.partial", ".file.elsewhere.1.ecor.partial"]  # the last of another machine, and new
    for name in others:
        (tmp_path / name).mkdir()
    (tmp_path / ".link.1.ecor.partial").symlink_to(tmp_path / others[0])
    with atomic.new_file(tmp_path / "a") as partial:
        atomic.sweep(tmp_path)
        partial.write_text("whole")
    assert (tmp_path / "a").read_text() == "whole"
    assert {path.name for path in tmp_path.iterdir()} == {*others, ".link.1.ecor.partial", "a"}

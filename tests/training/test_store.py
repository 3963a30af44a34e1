"""Checkpoints in progress: exact, whole or not at all, and errors that a user can act on."""

import contextlib
import os
import shutil
import subprocess
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from ecor_jax.errors import UserError
from ecor_jax.training.store import Store


def state(value=0.0, spec=()):
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    whole = NamedSharding(mesh, PartitionSpec())
    rows = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32) + np.float32(value)
    return {
        "tuned": jax.device_put(rows, NamedSharding(mesh, PartitionSpec(*spec))),
        "low": jax.device_put(jnp.array([1 / 3], jnp.bfloat16), whole),
        "step": jax.device_put(jnp.int32(value), whole),
        "key": jax.device_put(jax.random.key_data(jax.random.key(7)), whole),
    }


def save(directory, *steps):
    with Store(directory) as store:
        for step in steps:
            store.save(step, state(step))


def assert_equal(one, other):
    jax.tree.map(partial(np.testing.assert_array_equal, strict=True), one, other)


def assert_newest(directory, step):
    with Store(directory) as store:
        assert store.newest == step
        assert_equal(store.restore(state()), state(step))


def test_the_state_comes_back_exactly(tmp_path):
    with Store(tmp_path / "a" / "b") as store:
        assert store.newest is None
        store.save(5, state(5))
    with Store(tmp_path / "a" / "b") as store:
        assert store.newest == 5
        # Onto another sharding.
        wanted = state(0, ("data", "model"))
        found = store.restore(wanted)
        assert_equal(found, state(5))
        assert found["tuned"].sharding == wanted["tuned"].sharding


def test_what_is_saved_is_the_state_of_that_moment(tmp_path):
    """The write goes on in the background while the loop donates the state to the next step."""
    before = state(1)
    with Store(tmp_path) as store:
        store.save(1, before)
        jax.jit(lambda old: jax.tree.map(lambda leaf: leaf * 0, old), donate_argnums=0)(before)
    assert_newest(tmp_path, 1)


def test_the_newest_two_are_kept_and_no_half_written_one(tmp_path):
    save(tmp_path, 1, 2, 3, 10)
    assert {entry.name for entry in tmp_path.iterdir()} == {"3", "10"}
    shutil.copytree(tmp_path / "10", tmp_path / "11.orbax-checkpoint-tmp")
    with Store(tmp_path) as store:
        assert store.newest == 10
        store.save(10, state(99))  # the first of a step is kept
        store.save(11, state(11))
    assert {entry.name for entry in tmp_path.iterdir()} == {"10", "11"}
    shutil.rmtree(tmp_path / "11")
    assert_newest(tmp_path, 10)


def test_an_exception_within_is_not_replaced_and_what_was_saved_is_whole(tmp_path):
    with pytest.raises(ZeroDivisionError), Store(tmp_path) as store:
        store.save(1, state(1))
        raise ZeroDivisionError
    assert_newest(tmp_path, 1)


# Orbax drops its other readers and writers when one of them fails.
dropped = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@dropped
@pytest.mark.usefixtures("swept")
@pytest.mark.parametrize(("name", "content"), [("manifest.ocdbt", b""), ("_METADATA", b"{")])
def test_an_unreadable_checkpoint_is_named_and_the_older_one_serves(tmp_path, name, content):
    save(tmp_path, 1, 2)
    (tmp_path / "2" / "state" / name).write_bytes(content)
    message = r"/2: this checkpoint cannot be restored \([^\n]+\); remove its folder[^\n]*$"
    with Store(tmp_path) as store, pytest.raises(UserError, match=message):
        store.restore(state())
    shutil.rmtree(tmp_path / "2")
    assert_newest(tmp_path, 1)


@dropped
@pytest.mark.usefixtures("swept")
@pytest.mark.parametrize("change", [{"more": jnp.zeros(2)}, {"tuned": jnp.zeros((4, 7))}], ids=["one more", "shape"])
def test_a_checkpoint_of_other_arrays_is_refused_in_a_line(tmp_path, change):
    save(tmp_path, 1)
    message = r"/1: this checkpoint is of another model or optimizer than the config makes [^\n]+; choose [^\n]+$"
    with pytest.raises(UserError, match=message), Store(tmp_path) as store:
        store.restore(state() | change)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"file/run: cannot write a checkpoint .*; there is none yet"):
        Store(tmp_path / "file" / "run")


@pytest.fixture
def disk(tmp_path):
    """A disk of one MiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path / "disk"]
    (tmp_path / "disk").mkdir()
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield tmp_path / "disk"
    subprocess.run(["umount", "--lazy", tmp_path / "disk"], check=True)


@dropped
@pytest.mark.usefixtures("swept")
@pytest.mark.parametrize("room", [0, 12, 24, 36])
def test_a_full_disk(disk, room):
    """KiB left for a second checkpoint of some 70: it ends in Python's files or in TensorStore's."""
    save(disk / "run", 1)
    free = shutil.disk_usage(disk).free // 1024
    (disk / "ballast").write_bytes(bytes(1024 * (free - room)))
    with pytest.raises(UserError, match=r"run: cannot write a checkpoint [^\n]*No space left[^\n]*of step 1$"):
        save(disk / "run", 2)
    assert_newest(disk / "run", 1)
    (disk / "ballast").unlink()
    save(disk / "run", 2)
    assert_newest(disk / "run", 2)
    assert {entry.name for entry in (disk / "run").iterdir()} == {"1", "2"}


@pytest.mark.parametrize("kind", [OSError, ValueError])
def test_a_failed_write_is_one_message_wherever_it_shows(tmp_path, monkeypatch, kind):
    """Without the right to mount a disk: what Orbax raises from the background."""
    store = Store(tmp_path)

    def fail():
        raise kind("No space left on device\nand a page of particulars")

    monkeypatch.setattr(store._manager, "wait_until_finished", fail)
    with pytest.raises(UserError, match=r"\(No space left on device\); there is none yet"), store:
        pass
    monkeypatch.undo()
    with contextlib.suppress(OSError, ValueError):
        store._manager.close()


def test_two_stores_at_once_wait_for_other_processes_at_barriers_of_their_own(tmp_path, monkeypatch):
    """Orbax names a barrier after what it is for and the step: of two stores alike, unless each has a prefix."""
    from orbax.checkpoint._src.multihost import multihost

    name_of, names = multihost.unique_barrier_key, {"run": set(), "run_best": set()}
    for directory, found in names.items():

        def noted(*args, found=found, **kwargs):
            found.add(name_of(*args, **kwargs))
            return name_of(*args, **kwargs)

        monkeypatch.setattr(multihost, "unique_barrier_key", noted)
        save(tmp_path / directory, 1)
    assert len(names["run"]) == len(names["run_best"]) > 2
    assert not names["run"] & names["run_best"]

"""Checkpoints in progress: exact, whole or not at all, and errors that a user can act on."""

import contextlib
import os
import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from ecor_jax.errors import UserError
from ecor_jax.training.store import Store


def sharded(spec):
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    return NamedSharding(mesh, spec)


WHOLE = PartitionSpec()


def state(value=0.0, spec=WHOLE):
    rows = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32) + np.float32(value)
    return {
        "tuned": jax.device_put(rows, sharded(spec)),
        "low": jax.device_put(jnp.array([1 / 3], jnp.bfloat16), sharded(WHOLE)),
        "step": jax.device_put(jnp.int32(value), sharded(WHOLE)),
        "key": jax.device_put(jax.random.key_data(jax.random.key(7)), sharded(WHOLE)),
    }


def save(directory, *steps):
    with Store(directory) as store:
        for step in steps:
            store.save(step, state(step))


def assert_equal(one, other):
    for here, there in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(np.asarray(here), np.asarray(there), strict=True)


def test_the_state_comes_back_exactly(tmp_path):
    with Store(tmp_path / "a" / "b") as store:
        assert store.newest is None
        store.save(5, state(5))
    with Store(tmp_path / "a" / "b") as store:
        assert store.newest == 5
        # Onto another sharding.
        wanted = state(0, PartitionSpec("data", "model"))
        found = store.restore(wanted)
        assert_equal(found, state(5))
        assert found["tuned"].sharding == wanted["tuned"].sharding


def test_what_is_saved_is_the_state_of_that_moment(tmp_path):
    """The write goes on in the background while the loop donates the state to the next step."""
    before = state(1)
    with Store(tmp_path) as store:
        store.save(1, before)
        jax.jit(lambda old: jax.tree.map(lambda leaf: leaf * 0, old), donate_argnums=0)(before)
    with Store(tmp_path) as store:
        assert_equal(store.restore(state()), state(1))


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
    with Store(tmp_path) as store:
        assert_equal(store.restore(state()), state(10))


def test_an_exception_within_is_not_replaced_and_what_was_saved_is_whole(tmp_path):
    with pytest.raises(ZeroDivisionError), Store(tmp_path) as store:
        store.save(1, state(1))
        raise ZeroDivisionError
    with Store(tmp_path) as store:
        assert_equal(store.restore(state()), state(1))


DAMAGES = {
    "state": ("manifest.ocdbt", b""),
    "metadata": ("_METADATA", b"{"),
}


# Orbax drops its other readers and writers when one of them fails.
dropped = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@dropped
@pytest.mark.usefixtures("swept")
@pytest.mark.parametrize("damage", DAMAGES)
def test_an_unreadable_checkpoint_is_named_and_the_older_one_serves(tmp_path, damage):
    save(tmp_path, 1, 2)
    name, content = DAMAGES[damage]
    (tmp_path / "2" / "state" / name).write_bytes(content)
    message = r"/2: this checkpoint cannot be restored \(.+\); remove its folder"
    with Store(tmp_path) as store, pytest.raises(UserError, match=message) as error:
        store.restore(state())
    assert "\n" not in str(error.value)
    shutil.rmtree(tmp_path / "2")
    with Store(tmp_path) as store:
        assert_equal(store.restore(state()), state(1))


def test_a_checkpoint_of_other_arrays_is_refused_in_a_line(tmp_path):
    save(tmp_path, 1)
    message = r"/1: this checkpoint is of another model or optimizer .+; choose [^\n]+$"
    with pytest.raises(UserError, match=message), Store(tmp_path) as store:
        store.restore(state() | {"more": jnp.zeros(2)})


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
    with pytest.raises(UserError, match=r"run: cannot write a checkpoint .*No space left.*of step 1$") as error:
        save(disk / "run", 2)
    assert "\n" not in str(error.value)
    with Store(disk / "run") as store:
        assert store.newest == 1
        assert_equal(store.restore(state()), state(1))
    (disk / "ballast").unlink()
    save(disk / "run", 2)
    with Store(disk / "run") as store:
        assert_equal(store.restore(state()), state(2))
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

"""The loop on a toy: what it logs and saves, how it stops, and that it goes on as if nothing had happened."""

import shutil
import types
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from ecor_jax.errors import UserError
from ecor_jax.training import loop, speed
from ecor_jax.training.metrics_log import read_metrics


class Killed(Exception):
    """Stands for a process that ends without a word."""


def run(task, config, workdir, name="toy") -> np.ndarray:
    """Trains; the tuned parameters."""
    return np.asarray(loop.train(task, config, workdir, name).slope[...])


def logged(workdir) -> list[dict]:
    """All metrics but the speed, which no two runs share."""
    lines = read_metrics(workdir / "metrics.jsonl")
    assert all(line.pop("examples_per_second") > 0 and 0 < line.pop("waiting_share") < 1 for line in lines)
    assert all(line.pop("peak_share") >= 0 for line in lines)
    return lines


def saved(workdir, name="toy") -> dict[int, list[np.ndarray]]:
    """By step: parameters, optimizer state, step and key, read by Orbax alone."""
    found = {}
    for folder in (workdir / "checkpoints" / name).iterdir():
        with ocp.StandardCheckpointer() as checkpointer:
            state = checkpointer.restore((folder / "state").absolute())
        found[int(folder.name)] = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
    return found


@pytest.fixture(scope="module")
def whole(toy, toy_config, tmp_path_factory):
    """An uninterrupted run: its task, folder and parameters."""
    task, workdir = toy(), tmp_path_factory.mktemp("whole")
    return task, workdir, run(task, toy_config(), workdir)


@pytest.fixture
def interrupted(whole, tmp_path):
    """The workdir of `whole` as it was just after step 6."""
    shutil.copytree(whole[1], tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "checkpoints" / "toy" / "7")
    return tmp_path / "copy"


def test_metrics_and_what_is_trained(whole):
    task, workdir, slope = whole
    # One program that takes no other arguments: what it would be compiled again for is an error.
    assert task.traces == 1
    lines = logged(workdir)
    assert [line["step"] for line in lines] == [2, 4, 6, 7]
    for line in lines:
        assert line.keys() == {"run", "step", "loss", "gradient_norm", "squared"} and line["run"] == "toy"
        # The mean of what the task gave as (sum, count).
        assert line["squared"] == pytest.approx(line["loss"], rel=1e-6)
    # Only the tuned part changes, and the task keeps its model.
    assert np.abs(slope - [0.5, -0.25, 0.125]).min() > 0.05
    np.testing.assert_array_equal(task.model.slope[...], [0.5, -0.25, 0.125])
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_the_first_loss_is_the_tasks_and_runs_of_one_workdir_do_not_meet(whole, toy, toy_config, tmp_path):
    """By NumPy from the first batch; jitter of 0.01 on the inputs moves it a little."""
    for name in ("one", "two"):
        np.testing.assert_array_equal(run(toy(), toy_config(log_every=1), tmp_path, name), whole[2], strict=True)
    lines = logged(tmp_path)
    assert [line["run"] for line in lines] == ["one"] * 7 + ["two"] * 7
    batch = next(iter(toy().batches))
    errors = batch["x"] @ (np.array([0.5, -0.25, 0.125]) * [1, 2, 4]) - batch["y"]
    assert lines[0]["loss"] == pytest.approx(float(np.mean(errors**2)), rel=0.05)


def test_checkpoints_are_the_newest_two_and_hold_no_frozen_weights(whole):
    found = saved(whole[1])
    assert sorted(found) == [6, 7]
    shapes = [leaf.shape for leaf in found[7]]
    # Parameters, adam's two moments; counts and step; the key. The frozen scale would be a fourth (3,).
    assert sorted(shapes) == sorted([(3,)] * 3 + [()] * 3 + [(2,)])
    assert any(np.array_equal(leaf, whole[2]) for leaf in found[7])


def test_a_step_moves_nothing_to_the_devices(toy, toy_config, tmp_path, monkeypatch):
    monkeypatch.setattr(loop.meshes, "global_batch", lambda batch, mesh: batch)
    with pytest.raises(jax.errors.JaxRuntimeError, match="Disallowed host-to-device transfer"):
        run(toy(), toy_config(), tmp_path)


@pytest.mark.parametrize("step", [4, 7])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(whole, toy, toy_config, tmp_path, monkeypatch, step):
    """It ends when the batch of `step` is asked for."""
    asked, original = iter(range(1, 1000)), loop.meshes.global_batch

    def global_batch(batch, mesh):
        if next(asked) == step:
            raise Killed
        return original(batch, mesh)

    monkeypatch.setattr(loop.meshes, "global_batch", global_batch)
    with pytest.raises(Killed):
        run(toy(), toy_config(), tmp_path)
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == (step - 1) // 2
    monkeypatch.undo()
    task = toy()
    np.testing.assert_array_equal(run(task, toy_config(), tmp_path), whole[2], strict=True)
    assert task.traces == 1
    assert logged(tmp_path) == logged(whole[1])
    assert_equal = partial(np.testing.assert_array_equal, strict=True)
    jax.tree.map(assert_equal, saved(tmp_path), saved(whole[1]))


def test_a_finished_run_is_not_trained_again(whole, toy, toy_config):
    before = (whole[1] / "metrics.jsonl").read_bytes()
    task = toy()
    np.testing.assert_array_equal(run(task, toy_config(), whole[1]), whole[2], strict=True)
    assert task.traces == 0
    assert (whole[1] / "metrics.jsonl").read_bytes() == before


def test_the_seed_is_used(whole, toy, toy_config, tmp_path):
    """The batches are the toy's own; what changes is the key, so the jitter."""
    other = run(toy(), toy_config(seed=6), tmp_path)
    assert 0 < np.abs(other - whole[2]).max() < 0.05


def test_one_device_goes_on_from_a_checkpoint_of_eight(whole, interrupted, toy, toy_config, monkeypatch):
    assert jax.device_count() == 8
    axis_types = (jax.sharding.AxisType.Auto,) * 2
    alone = jax.make_mesh((1, 1), ("data", "model"), devices=jax.devices()[:1], axis_types=axis_types)
    monkeypatch.setattr(loop.meshes, "make_mesh", lambda model: alone)
    np.testing.assert_allclose(run(toy(), toy_config(), interrupted), whole[2], atol=1e-6, rtol=0)


@pytest.mark.parametrize("step", [1, 5, 6, 7])
def test_a_loss_that_is_not_finite_stops_the_run(toy, toy_config, tmp_path, step):
    """At the first step, at one that is to be saved, and at the last; what was saved before can be gone on with."""
    with pytest.raises(UserError, match=rf"loss is nan at step {step};"):
        run(toy(poison=step), toy_config(), tmp_path)
    assert [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [n for n in (2, 4, 6) if n < step]
    found = saved(tmp_path)
    assert sorted(found) == [number for number in (3, 6) if number < step]
    assert all(np.isfinite(leaf).all() for arrays in found.values() for leaf in arrays)
    if step == 5:
        assert np.isfinite(run(toy(), toy_config(), tmp_path)).all()
        assert [line["step"] for line in logged(tmp_path)] == [2, 4, 6, 7]


def test_a_gradient_that_is_not_finite_is_not_saved(toy, toy_config, tmp_path):
    """sqrt(0) is a number, its slope is not: the state is spoilt one step before the loss is."""

    class Spiked(toy):
        def loss(self, model, batch, key):
            loss, metrics = super().loss(model, batch, key)
            return loss + jnp.sqrt(0 * jnp.sum(model.slope[...] ** 2)), metrics

    with pytest.raises(UserError, match=r"gradient_norm is (nan|inf) at step 1"):
        run(Spiked(), toy_config(checkpoint_every=1), tmp_path)
    assert saved(tmp_path) == {}


def test_a_signal_saves_the_step_at_work_and_the_run_goes_on_from_there(whole, toy, toy_config, tmp_path, monkeypatch):
    asked = iter([False, False, True])
    monkeypatch.setattr(loop.stopping, "requested", lambda: next(asked))
    with pytest.raises(loop.stopping.Stopped, match="toy: stopped at step 3 of 7, which is saved"):
        run(toy(), toy_config(checkpoint_every=100), tmp_path)
    monkeypatch.undo()
    assert list(saved(tmp_path)) == [3]
    np.testing.assert_array_equal(run(toy(), toy_config(checkpoint_every=100), tmp_path), whole[2])


@pytest.fixture
def clock(monkeypatch):
    """Has the clock show these numbers."""

    def show(numbers):
        numbers = iter(numbers)
        monkeypatch.setattr(speed, "time", types.SimpleNamespace(perf_counter=lambda: next(numbers)))

    return show


def test_speed_is_of_the_examples_between_two_lines(toy, toy_config, tmp_path, clock):
    clock(range(0, 10000, 4))
    run(toy(), toy_config(), tmp_path)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    # Two steps of 8 examples, for each of which the clock goes by 4 while it is waited for and by 4 until the next; so
    # do the last 4 seconds. One step at the end.
    assert [line["examples_per_second"] for line in lines] == pytest.approx([16 / 20] * 3 + [8 / 12])
    assert [line["waiting_share"] for line in lines] == pytest.approx([8 / 20] * 3 + [4 / 12])


def test_the_share_of_the_peak_is_that_of_the_operations_of_the_steps(clock):
    clock([0.0, 10.0, 13.0, 20.0, 20.0])
    own = speed.Speed(peak=100.0, flops=50)
    with own.waiting():
        pass
    expected = {"examples_per_second": 32 / 20, "waiting_share": 3 / 20, "peak_share": 4 * 50 / 20 / 100}
    assert own.told(steps=4, examples=8) == expected

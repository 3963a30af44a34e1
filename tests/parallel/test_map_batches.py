"""A model over all batches of a set: whose answers come back, in which order, and what is compiled."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tqdm import tqdm

from ecor_jax.clip.config import TextConfig
from ecor_jax.clip.transformer import Transformer
from ecor_jax.errors import UserError
from ecor_jax.parallel.map_batches import map_batches, map_local
from ecor_jax.parallel.mesh import UNROLLED, make_mesh
from ecor_jax.parallel.progress import count_first

TRACED: list[int] = []


@dataclasses.dataclass(frozen=True)
class Scaled:
    by: int

    def __call__(self, model: nnx.Linear, batch: dict[str, jax.Array]):
        TRACED.append(self.by)
        shifted = model.kernel[0, 0] + batch["number"].astype(jnp.float32)
        return {"outputs": model(batch["x"]) * self.by, "pair": (batch["number"], shifted)}


def linear(seed: int) -> nnx.Linear:
    return nnx.Linear(3, 2, rngs=nnx.Rngs(seed))


def batches(count: int, size: int = 8) -> list[dict[str, np.ndarray]]:
    """Padded by zeros, as those of an evaluation; and an example left out in the middle, as a bad picture is."""
    number = np.arange(-(-count // size) * size, dtype=np.int32)
    mask = (number < count) & (number != 5)
    x = np.random.default_rng(0).normal(size=(len(number), 3)).astype(np.float32) * mask[:, None]
    columns = {"x": x, "number": number, "mask": mask}
    return [{name: column[at : at + size] for name, column in columns.items()} for at in range(0, len(number), size)]


@pytest.mark.parametrize("shards", [1, 2])
def test_the_answers_of_all_examples_in_their_order(shards, capsys):
    model, given = linear(0), batches(19)
    found = map_batches(Scaled(3), model, given, make_mesh(shards), total=19, name="scaling")
    numbers = [number for number in range(19) if number != 5]
    x = np.concatenate([batch["x"] for batch in given])[numbers]
    expected = 3 * (x @ np.asarray(model.kernel[...]) + np.asarray(model.bias[...]))
    assert isinstance(found["outputs"], np.ndarray) and found["outputs"].shape == (18, 2)
    np.testing.assert_allclose(found["outputs"], expected, atol=1e-5)
    assert found["pair"][0].tolist() == numbers and found["pair"][0].dtype == np.int32
    np.testing.assert_allclose(found["pair"][1], np.asarray(numbers) + float(model.kernel[0, 0]), rtol=1e-6)
    assert "scaling:" in capsys.readouterr().err


def test_the_time_left_is_estimated_without_the_compilation(monkeypatch):
    told: list[str] = []

    class Bar(tqdm):
        def unpause(self):
            told.append("unpause")

        def update(self, n=1):
            told.append(f"update {n}")

    monkeypatch.setattr("ecor_jax.parallel.map_batches.tqdm", Bar)
    map_batches(Scaled(5), linear(0), batches(19), make_mesh(1), total=19, name="scaling")
    assert told == ["unpause", "update 8", "update 3"]
    bar = tqdm(total=8)
    count_first(bar, 8)
    assert bar.n == 8 and bar.format_dict["initial"] == 8, "of one batch no rate is told"


def test_models_and_arrays_may_come_as_a_tuple():
    def add(models, batch):
        model, shift = models
        return model(batch["x"]) + shift[None]

    model, shift = linear(0), jnp.asarray([1.0, -1.0])
    mesh = make_mesh()
    found = map_batches(add, (model, shift), batches(8), mesh, total=8, name="adding")
    alone = map_batches(Scaled(1), model, batches(8), mesh, total=8, name="scaling")["outputs"]
    np.testing.assert_allclose(found, alone + np.asarray(shift), atol=1e-6)


def test_a_function_is_traced_once_for_models_of_one_structure():
    TRACED.clear()
    mesh = make_mesh()
    first, again, other = (
        map_batches(Scaled(by), linear(seed), batches(19), mesh, total=19, name="scaling")["outputs"]
        for by, seed in ((7, 0), (7, 1), (8, 1))
    )
    assert TRACED == [7, 8]
    assert not np.allclose(first, again)  # the weights are those of the call
    np.testing.assert_allclose(other, again * 8 / 7, rtol=1e-5)
    map_batches(Scaled(8), linear(1), batches(30, 16), mesh, total=30, name="scaling")
    assert TRACED == [7, 8, 8]  # another shape


def test_a_batch_that_the_devices_cannot_share():
    with pytest.raises(UserError, match="a batch of 6 cannot be shared evenly among 8 devices"):
        map_batches(Scaled(1), linear(0), batches(6, 6), make_mesh(), total=6, name="scaling")


def test_many_examples_are_answered_as_few_are(monkeypatch):
    """Of one CPU: then a tower's blocks run without a loop, their weights one array each."""
    tower = Transformer(TextConfig(9, 5, 16, 3, 4, 40), "gelu", 1e-5, causal=False, dtype=jnp.float32, rngs=nnx.Rngs(0))
    monkeypatch.setattr("ecor_jax.parallel.map_batches.MANY", 19)
    given = [{**batch, "x": np.tile(batch["x"][:, None], (1, 2, 6))[..., :16]} for batch in batches(19)]
    loops = []

    def run(tower, batch):
        loops.append(not UNROLLED.value)
        return tower(batch["x"])

    mesh = make_mesh(devices=jax.devices()[:1])
    few, many = (map_batches(run, tower, given, mesh, total=total, name="running") for total in (18, 19))
    np.testing.assert_allclose(many, few, atol=1e-6)
    assert loops == [True, False]


@pytest.mark.parametrize("count", [3, 8, 11])
def test_one_device_of_this_process_gives_the_same(count):
    model, columns = linear(0), {"x": np.random.default_rng(1).normal(size=(count, 3)).astype(np.float32)}
    found = map_local(outputs_of, model, columns, batch_size=4, name="scaling")
    expected = columns["x"] @ np.asarray(model.kernel[...]) + np.asarray(model.bias[...])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def outputs_of(model: nnx.Linear, batch: dict[str, jax.Array]) -> jax.Array:
    assert batch["x"].shape[0] in (3, 4)
    return model(batch["x"])

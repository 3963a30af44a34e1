"""How a bank is put on a mesh, a device's share at a time."""

import jax
import numpy as np
import pytest

from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.parallel.shards import padded_columns, split_columns


class Watched:
    """A bank that notes which columns it is asked for."""

    def __init__(self, columns: int):
        self.bank = np.random.default_rng(0).normal(size=(3, columns, 4)).astype(np.float32)
        self.shape, self.asked = self.bank.shape, []

    def __getitem__(self, index):
        self.asked.append(index[1])
        return self.bank[index].copy()


@pytest.mark.parametrize("columns", [5, 7, 130])
@pytest.mark.parametrize("model", [1, 2, 4, 8])
def test_each_share_is_asked_for_once_and_is_where_it_is_used(columns, model):
    bank, mesh = Watched(columns), make_mesh(model)
    placed = split_columns(bank, mesh)
    assert placed.shape == (3, padded_columns(columns, mesh), 4)
    np.testing.assert_array_equal(placed[:, :columns], bank.bank)
    assert not np.asarray(placed[:, columns:]).any()
    assert len(bank.asked) == model
    assert sorted(column for asked in bank.asked for column in range(*asked.indices(columns))) == list(range(columns))
    share = placed.shape[1] // model
    for piece in placed.addressable_shards:
        at = int(np.argwhere(mesh.devices == piece.device)[0][1])
        assert piece.index[1].indices(placed.shape[1])[:2] == (at * share, (at + 1) * share)


def test_a_single_device_has_the_whole_bank():
    bank = Watched(5)
    for mesh in (None, jax.make_mesh((1, 1), ("data", "model"), devices=jax.devices()[:1])):
        np.testing.assert_array_equal(split_columns(bank, mesh), bank.bank)

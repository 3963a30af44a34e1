"""Torch archives without torch: what torch writes is read, everything else is refused."""

import argparse
import collections
import datetime
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ecor_jax.checkpoints.torch_zip import open_torch
from ecor_jax.errors import UserError


def test_every_type_and_layout(tmp_path, torch):
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "plain": base,
        "view": base[1:3, ::2],
        "transposed": base.T,
        "expanded": torch.tensor([3.0]).expand(2, 2),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "half": base.half(),
        "bfloat": base.bfloat16() / 3,
        "long": torch.tensor([2**40, -1]),
        "parameter": torch.nn.Parameter(base).data,
    }
    torch.save(tensors, tmp_path / "x.pt")
    found = open_torch(tmp_path / "x.pt")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        value = found[name].read()
        assert found[name].shape == value.shape == tuple(tensor.shape)
        assert found[name].dtype == value.dtype.name == str(tensor.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(value.astype(np.float64), tensor.double().numpy())


class Attack:
    def __reduce__(self):
        return os.mkdir, ("attacked",)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Attack(), f"{os.mkdir.__module__}.mkdir"),
        ({"a": Attack()}, f"{os.mkdir.__module__}.mkdir"),
        ({"a": eval}, "builtins.eval"),
        ({"a": np.random.default_rng(0)}, "numpy.random"),
    ],
)
def test_anything_but_tensors_is_refused_by_name(value, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_archive(tmp_path / "x.pt", pickle.dumps(value, protocol=2))
    with pytest.raises(UserError, match=f"x.pt: refers to {named}.*read are tensors of types float16, bfloat16"):
        open_torch(tmp_path / "x.pt")
    assert not (tmp_path / "attacked").exists()


def test_what_training_checkpoints_keep_beside_the_weights_is_passed_over(tmp_path, torch):
    content = {
        "epoch": np.int64(5),
        "best": np.float64(0.61),
        "history": np.arange(3.0),
        "args": argparse.Namespace(lr=1e-3, path=Path("/data"), device=torch.device("cpu"), dtype=torch.float32),
        "losses": collections.defaultdict(list, {"train": [0.1]}),
        "seen": {1, 2},
        "shape": torch.Size([2, 3]),
        "when": datetime.datetime(2026, 1, 1),
        "state_dict": collections.OrderedDict(a=torch.nn.Parameter(torch.ones(2, 3))),
        "step": torch.tensor(5, dtype=torch.int32),
        "mask": torch.tensor([True, False]),
    }
    torch.save(content, tmp_path / "x.pt")
    found = open_torch(tmp_path / "x.pt")
    assert set(found) == {"state_dict.a", "step", "mask"}  # the names of nested dicts are dotted
    np.testing.assert_array_equal(found["state_dict.a"].read(), np.ones((2, 3)))
    assert found["mask"].read().tolist() == [True, False]


def test_files_of_another_kind(tmp_path, torch):
    torch.save({"a": torch.ones(2)}, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"a": torch.ones(2, dtype=torch.complex64)}, tmp_path / "complex.pt")
    torch.save({"a": 1}, tmp_path / "numbers.pt")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "")
    for name, message in [
        ("missing.pt", r"missing\.pt: cannot be read"),
        ("legacy.pt", r"not a torch zip archive.*saved again with torch 1\.6"),
        ("complex.pt", r"torch\.ComplexFloatStorage"),
        ("numbers.pt", "holds no tensors"),
        ("other.zip", r"no data\.pkl"),
    ]:
        with pytest.raises(UserError, match=message):
            open_torch(tmp_path / name)


@pytest.mark.parametrize(
    ("size", "offset", "shape", "strides", "message"),
    [
        (4, 1, (2, 2), (2, 1), "reaches beyond its storage"),
        (4, 0, (2, 2), (2, -1), "strides"),
        (4, -1, (2,), (1,), "offset are .*-1"),
        (4, 0, (2, 2), (1,), "strides"),
        (5, 0, (2, 2), (2, 1), "has 16 bytes; expected 20"),
        (0, 0, (4,), (1,), "archive/data/0 is missing"),
    ],
)
def test_tensors_stay_within_their_storage(size, offset, shape, strides, message, tmp_path):
    data = {"data/0": bytes(16)} if size else {}
    write_archive(tmp_path / "x.pt", tensor_pickle(size or 4, offset, shape, strides), data)
    with pytest.raises(UserError, match=message):
        open_torch(tmp_path / "x.pt")["a"].read()


def write_archive(path, data, files=None):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {"data.pkl": data, "byteorder": b"little", **(files or {})}.items():
            archive.writestr(f"archive/{name}", content)


def tensor_pickle(size, offset, shape, strides) -> bytes:
    """The pickle of {"a": a float32 tensor}, as torch writes it, of a storage with `size` numbers."""

    def dump(value) -> bytes:
        return pickle.dumps(value, protocol=2)[2:-1]  # without the pickle's head and end

    storage = b"(" + dump("storage") + b"ctorch\nFloatStorage\n" + dump("0") + dump("cpu") + dump(size) + b"tQ"
    arguments = storage + dump(offset) + dump(shape) + dump(strides) + b"\x89}"
    return b"\x80\x02}" + dump("a") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tRs."

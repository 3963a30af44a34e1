"""The fuzzer of `fuzz.py`, for a moment: every reader meets good files, and a few mutated ones."""

import contextlib
import sys
import time

import pytest

from ecor_jax.errors import UserError
from tests import fuzz as fuzzer

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"), pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("reader", fuzzer.READERS)
def test_good_files_are_read_and_mutated_ones_read_or_refused(reader, tmp_path):
    contents, name, read = fuzzer.READERS[reader]
    for content in contents:
        (tmp_path / name).write_bytes(fuzzer.PACKED.get(reader, bytes)(content))
        # Of OpenCLIP's files the weights, read last, are missing.
        with pytest.raises(UserError, match="torch zip") if reader == "openclip" else contextlib.nullcontext():
            read(tmp_path / name)
    assert not fuzzer.fuzz(reader, seconds=0.6, seed=0, keep=tmp_path, most=400)[1]


def refuse(_):
    raise UserError("no name of a file")


def hide_a_memory_error(_):
    try:
        bytearray(1 << 50)
    except MemoryError as error:
        raise UserError("hidden") from error


FAULTY = {
    "UserError": refuse,
    "KeyError": {}.__getitem__,
    "MemoryError": hide_a_memory_error,
    "SystemExit": lambda _: time.sleep(9),
}


@pytest.mark.parametrize("kind", FAULTY)
def test_every_kind_of_fault_is_told_and_kept(kind, monkeypatch, tmp_path):
    monkeypatch.setattr(fuzzer, "SECONDS", 0.05)
    monkeypatch.setitem(fuzzer.READERS, "bad", ([b"good"], "x", FAULTY[kind]))
    faults = fuzzer.fuzz("bad", seconds=100, seed=0, keep=tmp_path, most=2)[1]
    assert [(name.split()[0], count) for name, count in faults.items()] == [(kind, 2)]
    assert (tmp_path / "bad.1").is_file()

"""The fuzzer of `fuzz.py`, for a moment: every reader meets a few mutated files, always the same."""

import contextlib
import importlib.util
import sys
import time
from pathlib import Path

import pytest

from ecor_jax.errors import UserError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")

# Test modules cannot import one another.
spec = importlib.util.spec_from_file_location("tests_fuzz", Path(__file__).with_name("fuzz.py"))
assert spec and spec.loader
sys.modules["tests_fuzz"] = fuzzer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzzer)


@pytest.mark.parametrize("reader", fuzzer.READERS)
def test_mutated_files_are_read_or_refused(reader):
    result = fuzzer.fuzz(reader, seconds=1.2, most=500)
    assert result.executions and not result.faults, result.errors


def hide_a_memory_error(*_):
    try:
        bytearray(1 << 50)
    except MemoryError as error:
        raise UserError("hidden") from error


def never_return(*_):
    while True:
        with contextlib.suppress(Exception):
            time.sleep(1)


def say_half_a_character(*_):
    raise UserError("\ud800")


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        ({}.__getitem__, "TypeError"),
        (hide_a_memory_error, "MemoryError"),
        (never_return, "Overtime"),
        (say_half_a_character, "UnicodeEncodeError"),
    ],
)
def test_every_kind_of_fault_is_told_and_kept(read, kind, monkeypatch, tmp_path):
    monkeypatch.setattr(fuzzer, "SECONDS", 0.05)
    monkeypatch.setitem(fuzzer.READERS, "bad", (lambda: [(b"seed", fuzzer.same)], read))
    result = fuzzer.fuzz("bad", seconds=5, most=2, keep=tmp_path)
    assert list(result.faults.values()) == [2] and next(iter(result.faults)).startswith(kind)
    assert (tmp_path / "bad.1").is_file()


@pytest.mark.parametrize("reader", fuzzer.READERS)
def test_what_is_mutated_is_good(reader, tmp_path):
    make, read = fuzzer.READERS[reader]
    for content, pack in make():
        # Only of OpenCLIP are the weights left out.
        with (
            pytest.raises(UserError, match="not a whole safetensors")
            if reader == "openclip"
            else contextlib.nullcontext()
        ):
            read(pack(content), tmp_path)

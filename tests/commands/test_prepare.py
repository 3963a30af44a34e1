import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecor_jax.data.images import open_images

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path, before: str = "") -> subprocess.CompletedProcess[str]:
    """The command, with warnings as errors; tells on stderr if TensorFlow was imported."""
    script = (
        f"import atexit, runpy, sys; {before}\n"
        "atexit.register(lambda: 'tensorflow' in sys.modules and print('TENSORFLOW', file=sys.stderr))\n"
        "runpy.run_module('launch.prepare', run_name='__main__', alter_sys=True)"
    )
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )


@pytest.fixture
def folder(tmp_path):
    for row in range(6):
        file = tmp_path / "images" / f"class {row % 2}" / f"{row}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(row).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(file)
    return tmp_path / "images"


def test_prepare_writes_records_without_tensorflow(folder, tmp_path):
    output = tmp_path / "records"
    result = run("--source", folder, "--output", output)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{output}: images: 6 in train (6 found, 6 used)\n"
    assert "TENSORFLOW" not in result.stderr
    assert "reading train: 100%" in result.stderr
    assert open_images(output).classes == ("class 0", "class 1")


def test_a_full_disk_is_one_line_and_leaves_nothing(folder, tmp_path):
    small_files = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    result = run("--source", folder, "--output", tmp_path / "records", before=small_files)
    assert result.returncode == 1, result.stderr
    assert result.stderr.splitlines()[-1].startswith(f"error: {tmp_path}/records cannot be written: ")
    assert "File too large" in result.stderr and "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["images"]

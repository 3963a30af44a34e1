import subprocess
import sys
from pathlib import Path

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
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_prepare_writes_records_without_tensorflow(tiny_pictures, tmp_path):
    output = tmp_path / "records"
    result = run("--source", tiny_pictures[0] / "train", "--output", output)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{output}: images: 24 in train (24 found, 24 used)\n"
    assert "TENSORFLOW" not in result.stderr and "reading train: 100%" in result.stderr
    assert open_images(output).classes == ("cat", "dog", "grey seal")


def test_a_full_disk_is_one_line_and_leaves_nothing(tiny_pictures, tmp_path):
    small_files = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))"
    result = run("--source", tiny_pictures[0] / "train", "--output", tmp_path / "records", before=small_files)
    assert result.returncode == 1, result.stderr
    assert result.stderr.splitlines()[-1].startswith(f"error: {tmp_path}/records cannot be written: ")
    assert "File too large" in result.stderr and "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []

"""The commands as a user runs them, and one short run of each kind of task."""

import contextlib
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecor_jax.commands import cli, train

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Commands:
    """Starts `python -m launch.X` from the root of the repository, on one device, in a process of its own."""

    environment: dict[str, str]

    def start(self, name: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", f"launch.{name}", *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, name: str, *arguments: object) -> str:
        """What a command that succeeds prints."""
        process = self.start(name, *arguments)
        printed, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]
        assert "Traceback" not in errors
        return printed


@pytest.fixture(scope="session")
def commands(tmp_path_factory, compiled) -> Commands:
    # As tests' own process, these do not optimise the machine code, and compile what none has.
    return Commands(
        os.environ
        | {
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
            "JAX_COMPILATION_CACHE_DIR": str(compiled),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "ECOR_CACHE": str(tmp_path_factory.mktemp("cache")),
        }
    )


@pytest.fixture(scope="session")
def called() -> Callable[..., str]:
    """A command in this process, with arguments as on the command line; returns what it prints."""

    def call(module, *arguments: object) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            module.main(cli.parse(module.parser(), [str(argument) for argument in arguments]))
        return printed.getvalue()

    return call


SHORT = ["--config.data.batch_size=8", "--config.log_every=1", "--config.checkpoint_every=2"]


@pytest.fixture(scope="session")
def options(tiny_clip, tiny_pictures) -> list[str]:
    """Of a short run of DROR and ECOR on the coloured squares, without its workdir."""
    images, rationales = tiny_pictures
    return [
        *SHORT,
        "--config=configs/folder.py",
        "--config.method=dror,ecor",
        f"--config.model={tiny_clip}",
        f"--config.data.images={images}",
        f"--config.data.rationales={rationales}",
        "--config.data.name=squares",
        "--config.prompts.layers=deep",
        "--config.steps=6",
    ]


@pytest.fixture(scope="session")
def trained(commands, options, made_once) -> Path:
    """The workdir of that run, by a process of its own."""

    def fill(root: Path) -> None:
        printed = commands.run("train", *options, f"--workdir={root / 'run'}")
        page = root / "run" / "report" / "index.html"
        assert [line.split()[0] for line in printed.splitlines()[1:-1]] == ["dror", "ecor"]
        assert printed.splitlines()[-1] == f"page: {page}" and page.is_file()

    return made_once("trained", fill) / "run"


@pytest.fixture(scope="session")
def people(made_once) -> Path:
    """A folder of six people with six noisy pictures each, and a zip of pairs of them."""
    return made_once("people", write_people)


def write_people(root: Path) -> None:
    rng = np.random.default_rng(0)
    for person in range(6):
        face = rng.integers(0, 256, (20, 20, 3))
        (root / "faces" / f"p{person}").mkdir(parents=True)
        for number in range(6):
            noisy = np.clip(face + rng.normal(0, 20, face.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(root / "faces" / f"p{person}" / f"{number}.png")
    pairs = [
        (f"p{n % 6}-0.png", f"p{(n % 6 + n % 2) % 6}-{1 + n // 6}.png", "No" if n % 2 else "Yes") for n in range(12)
    ]
    with zipfile.ZipFile(root / "pairs.zip", "w") as archive:
        archive.writestr("set/pairs.csv", "file_x,file_y,Decision\n" + "".join(f"{a},{b},{c}\n" for a, b, c in pairs))
        for name in {name for pair in pairs for name in pair[:2]}:
            person, number = name.split("-")
            archive.write(root / "faces" / person / number, f"set/{name}")


@pytest.fixture(scope="session")
def face_options(people, tiny_clip, tiny_pictures) -> list[str]:
    return [
        *SHORT,
        "--config=configs/faces_orl.py",
        f"--config.model={tiny_clip}",
        f"--config.data.images={people / 'faces'}",
        "--config.data.name=noise",
        "--config.data.held_out=2",
        f"--config.pairs.celebrity_pairs.path={people / 'pairs.zip'}",
        f"--config.alignment.images={tiny_pictures[0]}",
        "--config.bottleneck.tuned=adapter,last_mlp,aggregation",
        "--config.bottleneck.adapter.width=4",
        "--config.steps=4",
    ]


@pytest.fixture(scope="session")
def recognised(called, face_options, made_once) -> Path:
    """The workdir of a short run on those people."""

    def fill(root: Path) -> None:
        printed = called(train, *face_options, f"--workdir={root / 'run'}")
        rows = ["tuned", "clip", "group_softmax", "group_softmax_random"]
        assert [line.split()[0] for line in printed.splitlines()[1:-2]] == rows

    return made_once("recognised", fill) / "run"


@pytest.fixture(scope="session")
def radiographs(made_once) -> Path:
    """Noise of 40 patients in the shape of NIH's set: every second one has an effusion, a light patch below."""
    return made_once("nih", write_radiographs)


def write_radiographs(root: Path) -> None:
    (root / "images").mkdir()
    rng = np.random.default_rng(0)
    lines = ["Image Index,Finding Labels,Patient ID,View Position"]
    for patient in range(40):
        findings = ("Effusion", "No Finding", "Effusion|Edema", "No Finding")[patient % 4]
        for number in range(2):
            pixels = rng.integers(0, 120, (24, 24), np.uint8)
            pixels[14:] += 100 if "Effusion" in findings else 0
            name = f"{patient:08}_{number:03}.png"
            Image.fromarray(pixels).save(root / "images" / name)
            lines.append(f"{name},{findings},{patient},{'PA' if number else 'AP'}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def xray_options(radiographs, tiny_clip) -> list[str]:
    return [
        *SHORT,
        "--config=configs/xray_nih.py",
        f"--config.model={tiny_clip}",
        f"--config.data.images={radiographs / 'images'}",
        f"--config.data.tables={radiographs / 'labels.csv'}",
        "--config.head.adapter.width=4",
        "--config.evaluation.resamples=50",
        "--config.report.studies=3",
        "--config.steps=4",
    ]


@pytest.fixture(scope="session")
def diagnosed(called, xray_options, made_once) -> Path:
    """The workdir of a short run on those X-rays."""

    def fill(root: Path) -> None:
        printed = called(train, *xray_options, f"--workdir={root / 'run'}")
        rows = ["bottleneck", "bottleneck_push_absent", "random_descriptors", "black_box", "black_box_mlp"]
        assert [line.split()[0] for line in printed.splitlines()[1:-2]] == rows
        assert "no medical device" in printed.splitlines()[-2]

    return made_once("diagnosed", fill) / "run"


@pytest.fixture
def run(request) -> tuple[Path, list[str]]:
    """The workdir of a run by the name of its fixture, and the options that it was started with."""
    options = {"trained": "options", "recognised": "face_options", "diagnosed": "xray_options"}
    return request.getfixturevalue(request.param), request.getfixturevalue(options[request.param])

"""Benchmarks the input pipeline: from picture files to batches of pixels."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from ecor_jax.benchmarks.measure import Side, Suite, Timed
from ecor_jax.benchmarks.models import Setting
from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.clip.config import PRESETS, preset
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.data.encode import Encode
from ecor_jax.data.images import open_images
from ecor_jax.data.pipeline import eval_batches
from ecor_jax.data.records import Source
from ecor_jax.errors import needs

PICTURES, WIDTH, HEIGHT = 512, 500, 375
"""Number and size of the generated pictures, used if none are given; the size is ImageNet's typical one."""


def read_pictures(setting: Setting) -> Suite:
    """Returns a suite that decodes, scales and crops pictures for the vision tower, on all cores."""
    known = setting.model in PRESETS
    preprocess = Preprocess(preset(setting.model).vision.image_size) if known else load_clip(setting.model).preprocess
    count = PICTURES // 8 if setting.quick else PICTURES
    source = open_images(setting.images or _made(setting.folder / "pictures.zip", count))
    encode, cores = Encode(preprocess), len(os.sched_getaffinity(0))

    def ours() -> np.ndarray:
        images = [batch["image"] for batch in eval_batches(source, encode, batch_size=setting.batch_size)]
        return images[0][0]

    peers = {}
    if setting.peers:
        needs("torch", "torch")
        peers[f"PyTorch's DataLoader, {cores} processes"] = _loader(source, preprocess, setting, cores)
    work = f"{len(source)} pictures decoded and scaled to {preprocess.size} pixels, {cores} cores"
    return Suite(work, "image", Side(ours, len(source)), peers)


def _made(path: Path, count: int) -> Path:
    """Writes a zip of generated photograph-like pictures: smooth, with some noise."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((WIDTH, HEIGHT))
            noisy = np.asarray(coarse, np.int16) + rng.integers(-12, 13, (HEIGHT, WIDTH, 3), np.int16)
            content = io.BytesIO()
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(content, "JPEG", quality=90)
            archive.writestr(f"class/{number}.jpg", content.getvalue())
    return path


LOADER = """
import json, os, signal, sys, time
signal.pthread_sigmask(signal.SIG_SETMASK, [])  # unblocks the signals that end workers, which our process blocks
import numpy as np
from PIL import Image
from torch.utils.data import DataLoader
folder, size, batch_size, workers = sys.argv[1], *map(int, sys.argv[2:])
names = sorted(os.listdir(folder), key=int)
class Pictures:
    def __len__(self):
        return len(names)
    def __getitem__(self, index):
        image = Image.open(f"{folder}/{names[index]}").convert("RGB")
        scale = size / min(image.size)
        image = image.resize([int(side * scale) for side in image.size], Image.Resampling.BICUBIC)
        left, top = (round((side - size) / 2) for side in image.size)
        return np.asarray(image.crop((left, top, left + size, top + size)))
loader = DataLoader(Pictures(), batch_size, num_workers=workers, persistent_workers=True)
first = [batch.numpy() for batch in loader][0][0]
began = time.perf_counter()
for batch in loader:
    batch.numpy()
print(json.dumps([time.perf_counter() - began, first.tolist()]))
"""


def _loader(source: Source, preprocess: Preprocess, setting: Setting, workers: int) -> Side:
    """Returns PyTorch's DataLoader with persistent workers, which decode and scale with Pillow, as torchvision does.

    It runs in a separate process, because its workers are forks, and measures the time of its second pass itself.
    """
    folder = setting.folder / "files"
    folder.mkdir()
    for number in range(len(source)):
        content = source[number]["image"]
        assert isinstance(content, bytes)
        (folder / str(number)).write_bytes(content)

    def run() -> Timed:
        numbers = map(str, (preprocess.size, setting.batch_size, workers))
        command = [sys.executable, "-c", LOADER, str(folder), *numbers]
        seconds, first = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return Timed(np.array(first), seconds)

    return Side(run, len(source))

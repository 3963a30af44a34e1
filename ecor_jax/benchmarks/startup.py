"""Benchmarks the start of a new process, until it has embedded its first image and its first text."""

import os
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

from ecor_jax.benchmarks.measure import Side, Suite
from ecor_jax.benchmarks.models import Setting
from ecor_jax.checkpoints.model_dir import save_clip
from ecor_jax.errors import UserError

OURS = """
import sys, numpy as np
from ecor_jax import load_clip
clip = load_clip(sys.argv[1])
print(*np.concatenate([clip.encode_image(sys.argv[2])[0], clip.encode_text(sys.argv[3])[0]]))
"""
TRANSFORMERS = """
import sys, torch
from PIL import Image
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel
clip = CLIPModel.from_pretrained(sys.argv[1]).eval()
pixels = CLIPImageProcessor.from_pretrained(sys.argv[1])(Image.open(sys.argv[2]), return_tensors="pt")
ids = AutoTokenizer.from_pretrained(sys.argv[1])([sys.argv[3]], return_tensors="pt")["input_ids"]
with torch.no_grad():
    image = clip.visual_projection(clip.vision_model(**pixels).pooler_output)
    text = clip.text_projection(clip.text_model(ids).pooler_output)
normal = torch.nn.functional.normalize
print(*torch.cat([normal(image, dim=-1)[0], normal(text, dim=-1)[0]]).numpy())
"""


def startup(setting: Setting) -> Suite:
    """Returns a suite that runs a new process until its first embeddings, without a cache of compiled programs."""
    model = setting.open()
    directory, picture = setting.folder / "model", setting.folder / "picture.png"
    save_clip(directory, model.clip, model.tokenizer, model.preprocess)
    size = model.preprocess.size
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)).save(picture)

    def side(program: str) -> Side:
        def run() -> np.ndarray:
            command = [sys.executable, "-c", program, str(directory), str(picture), "a photo of a cat"]
            # Each run has an empty compilation cache.
            with tempfile.TemporaryDirectory(dir=setting.folder) as cache:
                environment = os.environ | {"ECOR_CACHE": cache}
                ended = subprocess.run(command, capture_output=True, text=True, cwd=setting.folder, env=environment)
            if ended.returncode:
                raise UserError(f"a process that embeds an image and a text failed: {ended.stderr.strip()[-300:]}")
            return np.array(ended.stdout.split(), np.float64)

        return Side(run, 1)

    work = f"a new process, weights from disk, an image and a text embedded; {setting.model}, float32"
    peers = {"transformers, PyTorch": side(TRANSFORMERS)} if setting.peers else {}
    return Suite(work, "start", side(OURS), peers)

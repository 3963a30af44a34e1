"""The model that ships: what it knows, how it is found, that its directory is all that it needs, how it is made."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import ecor_jax
from ecor_jax.checkpoints.hub import SHIPPED, at_revision, local_copy
from ecor_jax.checkpoints.huggingface import read_config
from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.checkpoints.source import read_architecture
from ecor_jax.commands import cli, convert, train
from ecor_jax.data.procedural import Procedural, vocabulary
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError

DRAWINGS = SHIPPED["drawings"]
FILES = {
    *("README.md", "config.json", "model.safetensors", "preprocessor_config.json", "rationales.json"),
    *("tokenizer.json", "tokenizer_config.json"),
}


def test_it_is_small_and_complete():
    assert {path.name for path in DRAWINGS.iterdir()} == FILES
    assert sum(path.stat().st_size for path in DRAWINGS.iterdir()) < 12e6
    content = (DRAWINGS / "model.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    assert {fields["dtype"] for name, fields in header.items() if name != "__metadata__"} == {"BF16"}
    assert Vocabulary.from_file(DRAWINGS / "rationales.json").to_json() == vocabulary().to_json()


@pytest.mark.smoke
def test_it_tells_the_classes_of_drawings_that_it_has_not_seen():
    """320 drawings of a seed of their own: with 85 % right, fewer than 250 has a probability of 1e-5."""
    clip, words = ecor_jax.load_clip("drawings"), vocabulary()
    drawings = Procedural(320, style="pretrain", seed=2**31)
    images = clip.encode_image([drawings[index]["image"] for index in range(len(drawings))])
    texts = clip.encode_text([f"this is a photo of a {name}" for name in words.classes])
    right = np.array(words.classes)[np.argmax(images @ texts.T, axis=1)] == drawings.categories
    assert right.sum() >= 250


@pytest.mark.slow
def test_it_explains_by_its_own_rationales_or_by_others():
    picture = Procedural(1, style="pretrain", seed=5)[0]["image"]
    explained = ecor_jax.load("drawings").explain(picture, top_k=3)
    assert explained.category == "bus" and explained.explanations[0].rationales == len(vocabulary().rationales)
    others = ecor_jax.load("drawings", {"bus": ["wheels"], "house": ["a chimney"]})
    assert len(others.explain(picture, top_k=2).pairs) == 2


@pytest.mark.slow
def test_another_program_needs_neither_a_network_nor_a_place_to_write(tmp_path):
    """With a home that cannot be, and every connection refused."""
    program = """
import socket
def refuse(*_): raise OSError("no network")
socket.socket.connect = refuse
import ecor_jax
print(ecor_jax.load("drawings").explain(__import__("numpy").zeros((64, 64, 3), "uint8")).category)
"""
    home = tmp_path / "file" / "home"
    home.parent.touch()
    environment = os.environ | {"HOME": str(home), "HF_HOME": str(home / "hf"), "ECOR_CACHE": str(home / "cache")}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0 and ran.stdout.strip() in vocabulary().classes, ran.stderr


def test_a_name_is_the_shipped_model_and_a_path_is_not(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    assert local_copy("drawings") == DRAWINGS and read_architecture("drawings") == read_config(DRAWINGS / "config.json")
    assert not caplog.records
    (tmp_path / "drawings").mkdir()
    assert local_copy("drawings") == DRAWINGS and "./drawings is the one here" in caplog.text
    assert local_copy("./drawings") == Path("./drawings")
    with pytest.raises(UserError, match=r"drawings: not a model; expected config\.json"):
        load_clip("./drawings")
    with pytest.raises(UserError, match="drawings: a revision, 'main', is of a hub id"):
        at_revision("drawings", "main")
    with pytest.raises(UserError, match=r"drawing: no such file or directory, nor a model that ships \(drawings\)"):
        ecor_jax.load("drawing")


def test_transformers_reads_it():
    torch = pytest.importorskip("torch")
    from transformers import AutoTokenizer, CLIPModel

    text = "this is a photo of a bicycle because there is a bell."
    tokens = AutoTokenizer.from_pretrained(DRAWINGS)(text, return_tensors="pt")
    theirs = CLIPModel.from_pretrained(DRAWINGS, dtype=torch.float32).eval()
    with torch.no_grad():
        expected = theirs.get_text_features(**tokens)
    expected = getattr(expected, "pooler_output", expected).numpy()
    own = load_clip(DRAWINGS)
    ids = jnp.asarray(own.tokenizer(text)["input_ids"], jnp.int32)
    np.testing.assert_allclose(own.clip.text(ids[None]), expected, atol=2e-5)


@pytest.mark.slow
def test_the_command_of_its_card_makes_its_layout(tmp_path):
    """Shrunk to a few steps: the same files, shapes, types and tokenizer, from the config alone."""

    def called(command, *arguments):
        command.main(cli.parse(command.parser(), arguments))

    run, made = tmp_path / "run", tmp_path / "made"
    steps = ["--config.steps=60", "--config.optimizer.warmup_steps=10", "--config.data.count=4000"]
    called(train, "--config=configs/pretrain_drawings.py", f"--workdir={run}", *steps)
    called(convert, f"--source={run}/model", "--dtype=bfloat16", f"--output={made}")
    assert {path.name for path in made.iterdir()} == FILES
    for name in FILES - {"README.md", "model.safetensors"}:
        assert (made / name).read_bytes() == (DRAWINGS / name).read_bytes(), name
    headers = []
    for path in (made, DRAWINGS):
        content = (path / "model.safetensors").read_bytes()
        headers.append(content[: 8 + int.from_bytes(content[:8], "little")])
    assert headers[0] == headers[1]

"""The Python interface as a notebook's user meets it."""

import json
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

import ecor_jax
from ecor_jax.errors import UserError

RATIONALES = {"cat": ["whiskers", "fur"], "dog": ["a wet nose"], "seal": ["flippers", "fur"]}
FEW = {"cat": ["whiskers"], "dog": ["a tail"]}


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "cat.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8)).save(path)
    return path


def test_neither_importing_nor_explaining_imports_what_it_does_not_need(tiny_clip, picture):
    code = (
        "import ecor_jax, sys; print({'jax', 'numpy'} & set(sys.modules), "
        "sorted(set(dir(ecor_jax)) & {'load', 'train', 'load_clip'}));"
        "ecor_jax.load(sys.argv[1], {'a': ['b']}).explain(sys.argv[2], top_k=1);"
        "print({'torch', 'sklearn', 'scipy', 'pandas', 'tensorflow'} & set(sys.modules))"
    )
    told = subprocess.check_output([sys.executable, "-c", code, tiny_clip, picture], text=True)
    assert told == "set() ['load', 'load_clip', 'train']\nset()\n"


def test_pictures_in_any_form_are_explained_alike(tiny_clip, picture, tmp_path):
    model = ecor_jax.load(tiny_clip, rationales=RATIONALES)
    explained = model.explain(str(picture), top_k=3)
    assert explained.category in RATIONALES and len(explained.pairs) == 3
    image = Image.open(picture)
    pixels = np.asarray(image)
    arrays = pixels, pixels / 255, pixels.astype(int), pixels.transpose(2, 0, 1), jnp.asarray(pixels)
    for other in (picture, image, picture.read_bytes(), *arrays):
        assert model.explain(other, top_k=3).explanations == explained.explanations
    assert len(model.explain(np.stack([pixels, pixels]))) == 2, "four axes are several pictures"
    assert str(model.tally) == "2 found, 2 used"
    assert [one.name for one in model.explain([picture, image])] == [str(picture), "picture 2"]
    assert [one.name for one in model.explain(tmp_path)] == ["cat.png"], "a folder gives a list"
    words = tmp_path / "words.json"
    words.write_text(json.dumps(RATIONALES))
    assert ecor_jax.load(tiny_clip, words).explain(picture, top_k=3).to_dict() == explained.to_dict()
    assert json.loads(json.dumps(explained.to_dict()))["explanations"][0]["pairs"][0]["category"] in RATIONALES


def test_a_table_and_a_card(tiny_clip, picture):
    explained = ecor_jax.load(tiny_clip, RATIONALES).explain(picture, top_k=2)
    table = explained.to_frame()
    assert list(table.columns) == ["method", "category", "rationale", "probability"] and len(table) == 2
    card = explained._repr_html_()
    assert card.startswith("<iframe srcdoc=") and "data:image/png;base64," in card and "<script" not in card
    assert "Content-Security-Policy" in card and 'onload="this.style.height' in card


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda model, path: model.explain(path, threshold=0.3), "--threshold has no meaning for what"),
        (lambda model, path: model.explain(b"no picture"), "picture 1 is not an image"),
        (lambda model, path: model.explain(path, rationales={"cat": "fur"}), "the rationales: class 'cat': expected a"),
        (lambda model, path: model.explain(path, rationales={"a b": ["x"], "a_b": ["y"]}), "are the same"),
        (lambda model, path: model.explain(path, rationales=FEW, top_k=5), "--top_k is 5; expected 1 to 4"),
        (lambda model, path: ecor_jax.explain(model.name, path), "is a plain CLIP: --rationales is needed"),
        (lambda model, path: ecor_jax.evaluate(model.name, images="x.zip"), "is a plain CLIP; expected rationales"),
    ],
)  # fmt: skip
def test_mistakes(tiny_clip, picture, call, expected):
    with pytest.raises(UserError, match=expected):
        call(ecor_jax.load(tiny_clip, RATIONALES), picture)


@pytest.fixture
def short_options(tiny_clip, tiny_pictures):
    """Of a run of two steps on the coloured squares."""
    images, rationales = map(str, tiny_pictures)
    paths = {"model": str(tiny_clip), "data.images": images, "data.rationales": rationales}
    return paths | {"method": "ecor", "steps": 2, "data.batch_size": 8, "evaluation.batch_size": 16}


def test_training_and_evaluating(short_options, tiny_pictures, tmp_path):
    images, rationales = tiny_pictures
    results = ecor_jax.train("configs/folder.py", tmp_path / "run", short_options)
    model = ecor_jax.load(tmp_path / "run" / "model")
    again = ecor_jax.evaluate(model, images=images / "test")
    assert again["methods"]["ecor"] == results["methods"]["ecor"], "in the words it was tuned on"
    given = ecor_jax.evaluate(tmp_path / "run" / "model", images=images / "test", rationales=rationales)
    assert given["methods"] == again["methods"]
    config = ConfigDict(json.loads((tmp_path / "run" / "config.json").read_text()))
    assert ecor_jax.train(config, tmp_path / "run") == results, "it is there already"
    with pytest.raises(UserError, match=r"no\.such"):
        ecor_jax.train(config, tmp_path / "run", {"no.such": 1})


def test_encoding(tiny_clip, picture, tmp_path, monkeypatch):
    monkeypatch.setenv("ECOR_CACHE", str(tmp_path / "cache"))
    clip = ecor_jax.load_clip(tiny_clip)
    images, texts = clip.encode_image([picture, np.zeros((8, 8, 3), np.uint8)]), clip.encode_text(["a cat", "a dog"])
    assert images.shape == texts.shape and images.shape[0] == 2
    for rows in (images, texts):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(clip.encode_text("a dog")[0], texts[1], atol=1e-6)
    np.testing.assert_allclose(clip.encode_image(picture)[0], images[0], atol=1e-6)
    with pytest.raises(UserError, match="cannot be read"):
        clip.encode_image([picture, "/nowhere.png"])
    assert not (tmp_path / "cache").exists(), "what is asked once is not kept"


@pytest.mark.slow
def test_the_notebook_of_the_docs_runs(tmp_path, monkeypatch):
    """Its cells, with a run of a few steps in the place of its quickstart."""
    notebook = json.loads((Path(__file__).parents[1] / "docs" / "interface.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    short = {"steps": 1, "data.train_count": 64, "data.test_count": 16, "data.batch_size": 16}
    whole = 'ecor_jax.train("configs/quickstart.py", "runs/quickstart")'
    assert whole in cells[0]
    cells[0] = cells[0].replace(whole, f'ecor_jax.train("configs/quickstart.py", "runs/quickstart", {short})')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    names = {}
    for cell in cells:
        exec(cell, names)
    assert names["explanation"].category and set(names["results"]["methods"]) == {"clip", "dror", "ecor"}


def test_fewer_pairs_than_vote_by_default(tiny_clip, picture):
    """Nobody asked for five."""
    assert len(ecor_jax.load(tiny_clip, FEW).explain(picture).pairs) == 4


@pytest.mark.slow
def test_a_script_with_worker_processes_runs_once(short_options, tmp_path):
    """Worker processes get what they read by a pickle; they do not import the script, which would run it again."""
    script, options = tmp_path / "script.py", short_options | {"data.workers": 1}
    script.write_text(
        f"print('begun', flush=True)\nimport ecor_jax\n"
        f"print(len(ecor_jax.train('configs/folder.py', {str(tmp_path / 'run')!r}, {options!r})['methods']))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("begun") == 1 and done.stdout.splitlines()[-1] == "1"

"""launch.explain: pictures from files, folders and zips, and what it cannot explain."""

import json
import shutil
import zipfile

import pytest
from PIL import Image

from ecor_jax.commands import explain
from ecor_jax.errors import UserError


def pictures(output) -> int:
    assert (output / "index.html").read_text().count("<img") >= 1
    return len(list((output / "images").iterdir()))


def test_a_file_a_folder_and_a_zip(commands, trained, tiny_pictures, tmp_path):
    cats = tiny_pictures[0] / "test" / "cat"
    with zipfile.ZipFile(tmp_path / "dogs.zip", "w") as archive:
        for path in sorted((tiny_pictures[0] / "test" / "dog").iterdir()):
            archive.write(path, f"some/where/{path.name}")
    shutil.copy(cats / "0.png", tmp_path / "picture")
    printed = commands.run(
        "explain", f"--model={trained / 'model'}", "--images", tmp_path / "picture", cats, tmp_path / "dogs.zip",
        f"--output={tmp_path / 'page'}",
    )  # fmt: skip
    assert printed == f"wrote {tmp_path / 'page' / 'index.html'}\n"
    assert pictures(tmp_path / "page") == 1 + 5 + 5
    page = (tmp_path / "page" / "index.html").read_text()
    assert "dror" in page and "ecor" in page and "flippers" in page
    explained = json.loads((tmp_path / "page" / "explanations.json").read_text())
    assert [said["method"] for said in explained[0]["explanations"]] == ["dror", "ecor"] and len(explained) == 11


def test_a_plain_clip_needs_rationales(called, tiny_clip, tiny_pictures, tmp_path):
    picture = tiny_pictures[0] / "test" / "cat" / "0.png"
    arguments = [f"--model={tiny_clip}", "--images", picture, f"--output={tmp_path / 'page'}"]
    with pytest.raises(UserError, match="is a plain CLIP: --rationales is needed"):
        called(explain, *arguments)
    assert not (tmp_path / "page").exists()
    called(explain, *arguments, f"--rationales={tiny_pictures[1]}", "--top_k=2", "--method=clip,ecor")
    assert pictures(tmp_path / "page") == 1


def test_any_folder_of_pictures_and_those_that_cannot_be_read_are_left_out(
    called, trained, tiny_pictures, tmp_path, caplog
):
    """Folders say nothing here: how deep they are does not matter."""
    folder = tmp_path / "photos"
    (folder / "2024" / "june" / "sea" / "beach").mkdir(parents=True)
    Image.new("RGB", (9, 9), "red").save(folder / "a.png")
    Image.new("RGB", (9, 9), "blue").save(folder / "2024" / "june" / "sea" / "beach" / "b.png")
    (folder / "torn.png").write_bytes((folder / "a.png").read_bytes()[:50])
    (folder / "text.jpg").write_text("no picture")
    called(
        explain, f"--model={trained / 'model'}", "--method=ecor", "--images", folder, f"--output={tmp_path / 'page'}"
    )
    assert pictures(tmp_path / "page") == 2
    assert "torn.png" in caplog.text and "text.jpg" in caplog.text and "on_bad_image" not in caplog.text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--images", "/nowhere.png"], "no picture can be read: /nowhere.png does not exist: expected a picture"),
        (["--images", "/nowhere"], "no picture can be read: /nowhere does not exist: expected a picture"),
        (["--images", "{text}"], "text.md is not an image that can be decoded"),
        (["--images", "{bad}"], "no picture can be read: .*bad.png"),
        (["--model={run}"], "is the folder of a run; its model is .*model$"),
        (["--top_k=0"], "--top_k is 0; expected 1 to 15"),
        (["--top_k=16"], "--top_k is 16; expected 1 to 15"),
        (["--method=foo"], "method is 'foo'; expected one or several of clip, dror, ecor"),
        (["--method=ecor_short"], "no prompts for 'ecor_short'"),
        (["--rationales=/nowhere.json"], "/nowhere.json: cannot be read"),
        (["--output={good}"], "0.png"),
    ],
)
def test_what_cannot_be_explained(called, trained, tiny_pictures, tmp_path, given, message):
    good = tiny_pictures[0] / "test" / "cat" / "0.png"
    places = {"run": trained, "good": good, "bad": tmp_path / "bad.png", "text": tmp_path / "text.md"}
    for name in ("bad", "text"):
        places[name].write_bytes(b"nothing")
    before = good.read_bytes()
    usual = [f"--model={trained / 'model'}", f"--output={tmp_path / 'page'}", "--images", good]
    with pytest.raises(UserError, match=message):
        called(explain, *usual, *(option.format(**places) for option in given))
    assert not (tmp_path / "page").exists() and good.read_bytes() == before

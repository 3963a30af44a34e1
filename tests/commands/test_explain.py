"""ecor-jax explain: pictures from files, folders and zips, pairs of faces, and X-rays."""

import json
import shutil
import zipfile

import pytest
from PIL import Image

from ecor_jax.commands import explain


def pictures(output) -> int:
    assert (output / "index.html").read_text().count("<img") >= 1
    return len(list((output / "images").iterdir()))


def explain_to(output, called, workdir, *asked: object) -> tuple[str, list[dict]]:
    """The page and the explanations of what a run's model is asked."""
    called(explain, f"--model={workdir / 'model'}", *asked, f"--output={output}")
    return (output / "index.html").read_text(), json.loads((output / "explanations.json").read_text())


def test_a_file_a_folder_and_a_zip(commands, trained, tiny_pictures, tmp_path):
    cats = tiny_pictures[0] / "test" / "cat"
    with zipfile.ZipFile(tmp_path / "dogs.zip", "w") as archive:
        for path in sorted((tiny_pictures[0] / "test" / "dog").iterdir()):
            archive.write(path, f"some/where/{path.name}")
    shutil.copy(cats / "0.png", tmp_path / "picture")
    asked = ["--images", tmp_path / "picture", cats, tmp_path / "dogs.zip", f"--output={tmp_path / 'page'}"]
    printed = commands.run("explain", f"--model={trained / 'model'}", *asked)
    assert printed == f"wrote {tmp_path / 'page' / 'index.html'}\n"
    assert pictures(tmp_path / "page") == 1 + 5 + 5
    page = (tmp_path / "page" / "index.html").read_text()
    assert "dror" in page and "ecor" in page and "flippers" in page
    explained = json.loads((tmp_path / "page" / "explanations.json").read_text())
    assert [said["method"] for said in explained[0]["explanations"]] == ["dror", "ecor"] and len(explained) == 11


@pytest.mark.parametrize("model", ["tiny_clip", "tiny_siglip"])
def test_a_plain_clip_or_siglip_explains_by_rationales_that_are_given(request, called, tiny_pictures, tmp_path, model):
    picture, clip = tiny_pictures[0] / "test" / "cat" / "0.png", request.getfixturevalue(model)
    given = [f"--rationales={tiny_pictures[1]}", "--top_k=2", "--method=ecor", "--saliency"]
    called(explain, f"--model={clip}", "--images", picture, f"--output={tmp_path / 'page'}", *given)
    # The picture, the scale of colours, the picture as the model sees it, and two maps.
    assert pictures(tmp_path / "page") == 5
    (explained,) = json.loads((tmp_path / "page" / "explanations.json").read_text())
    assert [own["shape"] for own in explained["explanations"][0]["saliency"]] == [[2, 2], [2, 2]]


def test_any_folder_of_pictures_and_those_that_cannot_be_read_are_left_out(called, trained, tmp_path, caplog):
    """Folders say nothing here: how deep they are does not matter."""
    folder, deep = tmp_path / "photos", tmp_path / "photos" / "2024" / "june" / "sea" / "beach"
    deep.mkdir(parents=True)
    Image.new("RGB", (9, 9), "red").save(folder / "a.png")
    Image.new("RGB", (9, 9), "blue").save(deep / "b.png")
    (folder / "torn.png").write_bytes((folder / "a.png").read_bytes()[:50])
    (folder / "text.jpg").write_text("no picture")
    explain_to(tmp_path / "page", called, trained, "--method=ecor", "--images", folder)
    assert pictures(tmp_path / "page") == 2
    assert "torn.png" in caplog.text and "text.jpg" in caplog.text and "on_bad_image" not in caplog.text


def test_faces_are_explained_and_concepts_of_the_second_one_are_set(called, recognised, people, tmp_path):
    first, second = people / "faces" / "p0" / "0.png", people / "faces" / "p1" / "0.png"
    asked = ["--pair", first, first, "--pair", first, second]
    asked += ["--what_if", "a round face=0.9", "--what_if", "brown skin=0"]
    page, explained = explain_to(tmp_path / "page", called, recognised, *asked)
    assert "similarity" in page and "eyebrows" in page and page.count("<img") == 4
    lines = page[page.index("Were it otherwise") :].split("<li>")[1:3]
    assert "a round face" in lines[0] and ": 90.0" in lines[0] and "brown skin" in lines[1] and ": 0.0" in lines[1]
    assert len(explained) == 2 and len(explained[0]["concepts"]) == 120
    assert "pairs of" in explained[0]["threshold_source"] and set(explained[0]["typical"]) >= {"eyebrows"}


def test_an_x_ray_is_explained(called, diagnosed, radiographs, tmp_path):
    images = [radiographs / "images" / f"{patient:08}_000.png" for patient in (0, 1)]
    asked = ["--images", *images, "--what_if", "clear lungs=0.5"]
    page, explained = explain_to(tmp_path / "page", called, diagnosed, *asked)
    assert page.count("<img") == 2 and "Effusion" in page and "clear lungs" in page and "medical device" in page
    assert explained[0]["answers"][0]["label"] == "Effusion" and len(explained) == 2

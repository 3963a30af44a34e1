"""What the page shows, without a browser: previews, explanations, mistakes, examples, and the address."""

import os
import zipfile
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from ecor_jax import stopping
from ecor_jax.api import load
from ecor_jax.bottleneck.directory import Findings, SavedBottleneck
from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.commands import cli
from ecor_jax.commands import demo as command
from ecor_jax.data import procedural
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.demo import answers
from ecor_jax.demo.examples import DRAWINGS, MOST, write_examples
from ecor_jax.demo.places import places
from ecor_jax.demo.serve import bound
from ecor_jax.demo.words import text_of, vocabulary_of_model
from ecor_jax.errors import UserError
from ecor_jax.tasks.concepts.explain import ConceptExplainer
from tests.tasks import steps
from tests.tasks.concepts.heads import DESCRIPTORS


@pytest.fixture(scope="module")
def explainer(tiny_clip) -> ConceptExplainer:
    clip = load_clip(tiny_clip)
    head = steps.bottleneck(5, clip.clip.config.embed_dim, adapter=3, size=3)
    findings = Findings(("Effusion", "Edema", "Mass"), False, np.zeros(5, np.float32), medical=True)
    return ConceptExplainer(SavedBottleneck(clip, head, DESCRIPTORS, "{d}", "cosines", None, findings))


@pytest.fixture
def picture(tmp_path):
    Image.new("RGB", (20, 30), "red").save(tmp_path / "red.png")
    return tmp_path / "red.png"


def test_a_preview_is_the_picture_decoded_here(picture, tmp_path):
    assert answers.preview(None) == ""
    assert answers.preview(picture).startswith('<img class="preview" alt="The chosen picture" src="data:image/png;')
    Image.new("L", (900, 300)).save(tmp_path / "grey.tiff")
    assert "data:image/jpeg;" in answers.preview(tmp_path / "grey.tiff")


def test_mistakes_are_one_line_without_the_place_of_the_file(picture, tmp_path, monkeypatch):
    (tmp_path / "text.png").write_text("<script>")
    told = answers.or_problem(lambda: answers.preview(tmp_path / "text.png"))
    assert told == '<p class="problem" role="alert">the file is not an image that can be decoded (8 bytes)</p>'
    shown = answers.or_problem(lambda: answers.content_of(None).hex())
    assert "there is no picture yet" in shown
    assert "no longer kept" in answers.or_problem(lambda: answers.preview(tmp_path / "gone.png"))
    monkeypatch.setattr(answers, "MAX_BYTES", 10)
    assert "the picture is larger than 0 MiB" in answers.or_problem(lambda: answers.preview(picture))


@pytest.mark.parametrize(
    ("error", "line"), [(UserError("<b>\n"), "&lt;b&gt;\\n"), (KeyError("secret"), "its terminal")]
)
def test_mistakes_are_escaped_and_bugs_are_told_on_the_terminal_alone(error, line, capsys):
    def work() -> str:
        raise error

    shown = answers.or_problem(work)
    assert shown.startswith('<p class="problem" role="alert">') and line in shown and "secret" not in shown
    assert ("KeyError: 'secret'" in capsys.readouterr().err) == isinstance(error, KeyError)


def test_an_archive_is_no_picture(explainer, tmp_path):
    """`explain` would explain every picture in it."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", b"")
    with pytest.raises(UserError, match="not an image that can be decoded"):
        answers.of_picture(explainer, tmp_path / "a.zip")


def test_a_vocabulary_that_is_edited_replaces_the_models_own(tiny_clip, picture):
    own = {"cat": ["a long tail"], "dog": ["a wet nose"]}
    model = load(tiny_clip, own)
    text = text_of(vocabulary_of_model(model))
    assert text == "cat: a long tail\ndog: a wet nose"
    shown = answers.by_rationales(model, picture, text, text, saliency=True)
    assert "red.png" in shown and "wet nose" in shown and str(picture.parent) not in shown
    shown = answers.by_rationales(model, picture, "seal: whiskers", text, saliency=True)
    assert "whiskers" in shown and "wet nose" not in shown
    with pytest.raises(UserError, match="there is no class"):
        answers.by_rationales(model, picture, "", text, saliency=False)


@pytest.mark.parametrize("names", [frozenset(), frozenset({"saliency"})])
def test_maps_are_asked_of_a_model_that_has_them(picture, names):
    given = {}

    class Model:
        option_names = names

        def explain(self, content: bytes, **options):
            given.update(options)
            raise UserError("enough")

    for wanted in (False, True):
        with pytest.raises(UserError, match="enough"):
            answers.by_rationales(cast(Any, Model()), picture, "own", "own", saliency=wanted)
        assert given == ({"saliency": True} if wanted and names else {})


def test_sliders_are_of_the_strongest_descriptors_and_replace_their_cosines(explainer, picture):
    shown, dials = answers.by_concepts(explainer, picture, saliency=False)
    assert "not a medical device" in shown and 0 < len(dials) <= answers.DIALS
    study = explainer.explain(picture)
    strength = {one.descriptor: 0.0 for one in study.answers[0].evidence}
    for one in (one for answer in study.answers for one in answer.evidence):
        strength[one.descriptor] = max(strength[one.descriptor], abs(one.contribution))
    assert dials[0].descriptor == max(strength, key=lambda name: strength[name])
    values = [round(dial.cosine, answers.DIGITS) for dial in dials]
    assert answers.moved(dials, values) == answers.moved(dials, [None, "1"]) == {}
    values[1] = 0.75
    cosines = answers.moved(dials, values)
    assert cosines == {dials[1].descriptor: 0.75}
    assert answers.with_cosines(explainer, picture, cosines, saliency=False) != shown
    assert answers.with_cosines(explainer, picture, {}, saliency=False) == shown


def test_examples_are_drawings_for_the_model_of_drawings_alone(tmp_path):
    made = write_examples([], procedural.vocabulary(), tmp_path / "a")
    assert len(made) == DRAWINGS and len({example.picture.read_bytes() for example in made}) == DRAWINGS
    assert write_examples([], None, tmp_path / "b") == []
    assert write_examples([], Vocabulary.read({"cat": ["whiskers"]}), tmp_path / "c") == []


def test_examples_of_a_user_are_pictures_folders_and_zips(tiny_pictures, picture, tmp_path):
    made = write_examples([picture, tiny_pictures[0] / "train"], None, tmp_path / "a")
    assert len(made) == MOST
    with Image.open(made[0].picture) as image:
        assert image.size == (20, 30) and image.getpixel((0, 0)) == (255, 0, 0)
    with pytest.raises(UserError, match="/nowhere does not exist"):
        write_examples(["/nowhere"], None, tmp_path / "b")


def test_without_gradio_one_line_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'this needs gradio, which is not installed: pip install "ecor-jax\[demo\]"'):
        command.main(cli.parse(command.parser(), ["--model=/nowhere"]))


def test_an_address_in_use_is_told():
    with bound("127.0.0.1", 0) as own:
        port = own.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} of 127.0.0.1 is in use; choose another with --port"):
            bound("127.0.0.1", port).__enter__()
    with bound("127.0.0.1", port) as own:  # at once again
        assert own.getsockname()[1] == port
    with pytest.raises(UserError, match="--host=no such host: no such address"):
        bound("no such host", 0).__enter__()
    assert own.fileno() == -1


def test_places_are_removed_and_the_environment_is_as_before(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before, hook = dict(os.environ), stopping.before_end
    with places() as kept:
        assert kept.folder.parent == tmp_path and os.environ["GRADIO_TEMP_DIR"] == str(kept.uploads)
        assert stopping.before_end is not hook and kept.folder.stat().st_mode & 0o077 == 0
        kept.cache.mkdir()
        (kept.cache / "embeddings").write_bytes(b"x")
        kept.keep_small()
        assert (kept.cache / "embeddings").exists()
        monkeypatch.setattr("ecor_jax.demo.places.MAX_CACHE", 0)
        kept.keep_small()
        assert not kept.cache.exists()
    assert list(tmp_path.iterdir()) == [] and dict(os.environ) == before and stopping.before_end is hook

"""What a user gets wrong is told in one line that names it, before the work, and leaves nothing."""

import re

import pytest

from ecor_jax.commands import benchmark, convert, descriptors, evaluate, explain, train
from ecor_jax.errors import UserError

COMMANDS = {
    "benchmark": (benchmark, []),
    "convert": (convert, []),
    "descriptors": (descriptors, ["--reports={silent}"]),
    "evaluate": (evaluate, ["options", "--model={trained}/model"]),
    "evaluate X-rays": (evaluate, ["xray_options", "--model={diagnosed}/model"]),
    "explain": (explain, ["--model={trained}/model", "--images", "{picture}"]),
    "explain X-rays": (explain, ["--model={diagnosed}/model", "--images", "{film}"]),
    "explain faces": (explain, ["--model={recognised}/model", "--pair", "{face}", "{face}"]),
    "train X-rays": (train, ["xray_options"]),
    "train faces": (train, ["face_options"]),
    "train faces on a CLIP to come": (train, ["face_options", "--config.model="]),
}
MISTAKES = {
    "benchmark": [
        (["--device=tpu"], "--device=tpu: JAX finds no tpu here, only cpu"),
        (["--suite=nothing"], "no suite 'nothing'; there are: encode_image"),
        (["--suite=input", "--images=/nowhere"], "/nowhere: no such file or directory"),
        (["--suite=encode_image", "--model=openai/ViT"], "openai/ViT"),
        (["--suite=encode_text", "--rationales=/dev/null"], "/dev/null"),
    ],
    "convert": [
        (["--source={clip}", "--heads=1,1"], "its configuration says how many heads there are; leave out --heads"),
        (["--source=nowhere", "--output={full}"], "full: is not empty"),
        (["--source={full}"], "full: not a model"),
    ],
    "descriptors": [
        ([], "none of its 1 reports has findings, an impression or a last paragraph"),
        (["--reports={full}", "--output={text}/out"], "cannot be made"),
    ],
    "evaluate": [
        (["--config.method=ecor_short,dror"], "model: no prompts for 'ecor_short'; it has those of dror, ecor")
    ],
    "evaluate X-rays": [
        (["--model={clip}"], "no descriptor bottleneck"),
        (["--model={recognised}/model"], "is a bottleneck for faces"),
        (["--config.data.findings=No Finding,Edema"], r"\(one label\); the config names No Finding, Edema \(one label"),
        (["--config.data.single_label=false"], r"tells No Finding, Effusion \(one label\); .*, Effusion \(several lab"),
        # Another seed draws other patients for the test, some of whom the model was trained on.
        (["--config.data.seed=1"], r"test images: a patient in two splits is refused, found \d+: \d+, "),
    ],
    "explain": [
        (["--images", "/nowhere.png"], "no picture can be read: /nowhere.png does not exist: expected a picture"),
        (["--images", "/nowhere"], "no picture can be read: /nowhere does not exist: expected a picture"),
        (["--images", "{text}"], "text.md is not an image that can be decoded"),
        (["--images", "{torn}"], "no picture can be read: .*torn.png"),
        (["--model={clip}"], "is a plain CLIP: --rationales is needed"),
        (["--model={trained}"], "is the folder of a run; its model is .*model$"),
        (["--top_k=0"], "--top_k is 0; expected 1 to 15"),
        (["--top_k=16"], "--top_k is 16; expected 1 to 15"),
        (["--method=foo"], "method is 'foo'; expected one or several of clip, dror, ecor"),
        (["--method=ecor_short"], "no prompts for 'ecor_short'"),
        (["--rationales=/nowhere.json"], "/nowhere.json: cannot be read"),
        (["--output={picture}"], "0.png"),
    ],
    "explain X-rays": [
        (["--what_if=clear lung=0"], "no such descriptor; the nearest: clear lungs"),
        (["--what_if=clear lungs=2"], "expected DESCRIPTOR=COSINE, a cosine from -1 to 1"),
        (["--threshold=0.5"], "--threshold has no meaning"),
        (["--rationales=r.json"], "--rationales has no meaning"),
        (["--top_k=3"], "--top_k has no meaning"),
        (["--model={recognised}/model"], "compares faces; expected --pair"),
    ],
    "explain faces": [
        (["--pair", "{absent}", "{torn}"], r"2 pictures cannot be read: .*absent\.png.*torn\.png"),
        (["--model={clip}"], "no descriptor bottleneck"),
        (["--model={diagnosed}/model", "--threshold=0.5"], "tells No Finding, Effusion; expected a model for faces"),
        (["--threshold=3"], "--threshold is 3"),
        (["--what_if=a rond face=1"], "no such descriptor; the nearest: a round face"),
        (["--what_if=a round face=1.5"], "a share of its group from 0 to 1"),
    ],
    "train X-rays": [
        (["--config.methods=bottleneck,white_box"], "methods is 'bottleneck,white_box'; expected some of bottleneck"),
        (["--config.methods="], "methods is ''"),
        (["--config.data.test=0"], "no official split"),
        (["--config.data.patients=41"], "data.patients is 41; expected 0"),
        (["--config.data.batch_size=64"], "data.batch_size is 64; there are 56 images to train on"),
        (["--config.head.adapter.width=0"], "head.adapter.width is 0 and loss.concept_weight 2.0"),
        (["--config.concepts.template=x-ray"], "expected {d} and {c} as the only braces"),
        (["--config.model=", "--config.concepts.source=reports"], "--config.model is not set, and concepts.source"),
        (["--config.embeddings=e.safetensors"], "both --config.model and --config.embeddings"),
        (["--config.model=", "--config.embeddings=e.safetensors"], "e.safetensors: cannot be read"),
    ],
    "train faces": [
        (["--config.data.image_size=112"], "is 20x20 pixels; expected 112x112"),
        (["--config.data.batch_size=100"], "a batch of 100|data.batch_size is 100"),
        (["--config.model="], "tinyimagenet_train_a.zip"),
    ],
    "train faces on a CLIP to come": [
        (["--config.log_every=0"], "log_every is 0"),
        (["--config.data.images=/nowhere"], "/nowhere"),
        (["--config.data.held_out=5"], "data.held_out is 5; expected 0 to 4"),
        (["--config.alignment.images=/nowhere"], "/nowhere"),
        (["--config.pairs.celebrity_pairs.path=/nowhere.bin"], "/nowhere.bin"),
        (["--config.bottleneck.tuned=nose"], "bottleneck.tuned names 'nose'"),
        (["--config.bottleneck.adapter.width=0"], "adapter.width is 0"),
        (["--config.bottleneck.template=a face"], "expected {d} as the only braces"),
        (["--config.bottleneck.size=7"], "an identity needs that of the descriptors, 120"),
        (["--config.bottleneck.wise_ft=0"], "bottleneck.wise_ft is 0"),
        (["--config.bottleneck.output=activations"], "aggregation, which bottleneck.output=activations leaves out"),
        (["--config.bottleneck.descriptors=/nowhere.json"], "/nowhere.json: cannot be read"),
    ],
}
ROWS = [pytest.param(name, *row, id=f"{name} {' '.join(row[0])}") for name, rows in MISTAKES.items() for row in rows]


@pytest.fixture
def places(request, tiny_clip, tiny_pictures, people, radiographs, tmp_path, monkeypatch):
    """What stands in the commands' braces; runs are made when they are asked for."""
    monkeypatch.setenv("ECOR_DATA", "/nowhere")
    (tmp_path / "silent").mkdir()
    (tmp_path / "silent" / "s1.txt").write_text(" INDICATION: cough")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "s2.txt").write_text("FINDINGS: No effusion.")
    face, film = people / "faces" / "p0" / "0.png", radiographs / "images" / "00000000_000.png"
    (tmp_path / "torn.png").write_bytes(face.read_bytes()[:60])
    (tmp_path / "text.md").write_bytes(b"nothing")

    class Places(dict):
        def __missing__(self, name: str):
            return request.getfixturevalue(name)

    names = {"silent": "silent", "full": "full", "torn": "torn.png", "text": "text.md", "absent": "absent.png"}
    known = {key: tmp_path / name for key, name in names.items()}
    return Places(known, clip=tiny_clip, picture=tiny_pictures[0] / "test" / "cat" / "0.png", face=face, film=film)


@pytest.mark.parametrize(("command", "given", "message"), ROWS)
def test_a_mistake_is_named_and_leaves_nothing(request, called, places, tmp_path, command, given, message):
    module, usual = COMMANDS[command]
    whole = request.getfixturevalue(usual[0]) if usual and usual[0].endswith("options") else []
    usual = [*whole, *usual[bool(whole) :], f"--{'workdir' if module is train else 'output'}={tmp_path / 'new'}"]
    before = places["picture"].read_bytes()
    with pytest.raises(UserError, match=message):
        called(module, *(re.sub(r"{(\w+)}", lambda found: str(places[found[1]]), one) for one in [*usual, *given]))
    assert places["picture"].read_bytes() == before
    assert module is train or not (tmp_path / "new").exists()
    assert not (tmp_path / "new" / "model").exists() and not (tmp_path / "new" / "results.json").exists()
    assert command != "train faces on a CLIP to come" or not (tmp_path / "new" / "clip").exists()

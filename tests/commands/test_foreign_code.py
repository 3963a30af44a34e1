"""Code planted in what the commands read never runs, and nobody is asked whether it may."""

import contextlib
import copyreg
import dataclasses
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pytest
from flax import nnx

from ecor_jax.checkpoints.model_dir import load_clip
from ecor_jax.clip.prompts import VisualPrompts, prompt_layers
from ecor_jax.data.prepare import prepare
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.tasks.rationale.methods import METHODS
from ecor_jax.tasks.rationale.tuned import Tuned, TunedModel, save_tuned

ROOT = Path(__file__).parents[2]
EXTENSION = 240


@dataclasses.dataclass(frozen=True)
class Ground:
    """Where a case plants its input: in a folder of its own, importable as `package`, beside whole ones to alter."""

    folder: Path
    clip: Path
    tuned: Path
    records: Path
    images: Path
    rationales: Path

    @property
    def package(self) -> str:
        return self.folder.name

    @property
    def marker(self) -> Path:
        """What appears if the planted code runs."""
        return self.folder.parent / f"{self.package}_has_run"

    @property
    def code(self) -> str:
        return f"open({str(self.marker)!r}, 'w').close()"

    def copy(self, whole: Path, name: str) -> Path:
        """A copy of a whole input, with modules of the names that an input could ask for beside its files."""
        copied = Path(shutil.copytree(whole, self.folder / name))
        for module in ("evil", "__init__", "conftest", "sitecustomize", "tokenization_evil", "configuration_evil"):
            (copied / f"{module}.py").write_text(self.code)
        return copied

    def explain(self, model: Path, *images: Path) -> list[str]:
        options = [f"--model={model}", f"--output={self.folder / 'page'}", f"--rationales={self.rationales}"]
        return ["explain", *options, "--images", *map(str, images)]

    def convert(self, source: Path, *options: str) -> list[str]:
        return ["convert", f"--source={source}", f"--output={self.folder / 'output'}", *options]

    def picture(self) -> Path:
        return next(self.images.rglob("*.png"))


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def records(ground: Ground, change: Callable[[dict, str], Any]) -> list[str]:
    """Pictures in an ArrayRecord directory whose features.json names a module beside it."""
    directory = ground.copy(ground.records, "set")
    edit(directory / "features.json", lambda features: change(features, f"{ground.package}.set.evil.Feature"))
    return ground.explain(ground.clip, directory)


def nested(features: dict, name: str, path: list[str]) -> dict:
    """With the class of an inner feature in the place of its own."""
    reduce(dict.__getitem__, path, features["featuresDict"]["features"])["pythonClassName"] = name
    return features


def legacy(features: dict, name: str, proto: str = "") -> dict:
    content = {"image": {"type": name, "content": {}, "proto_cls": proto}}
    return {"type": "tensorflow_datasets.core.features.features_dict.FeaturesDict", "content": content, "proto_cls": ""}


def respelled(features: dict, name: str) -> dict:
    return {key: value for key, value in features.items() if key != "pythonClassName"} | {"python_class_name": name}


RECORDS = {
    "top": lambda features, name: features | {"pythonClassName": name},
    "top, other spelling": respelled,
    "nested": partial(nested, path=["image"]),
    "nested deeper": partial(nested, path=["rationales", "sequence", "feature"]),
    "legacy": lambda features, name: {"type": name, "content": features},
    "legacy, nested": legacy,
    "legacy, message": lambda features, name: legacy(features, "tensorflow_datasets.Image", name),
}


def tokenizer(ground: Ground, fields: dict[str, Any], beside_a_model: bool) -> list[str]:
    """A tokenizer directory that asks for a class in a module beside it; with or without a config.json of CLIP's."""
    directory = ground.copy(ground.clip, "model")
    edit(directory / "tokenizer_config.json", lambda known: known | fields)
    if beside_a_model:
        edit(directory / "config.json", lambda known: known | fields)
        return ground.convert(directory)
    (directory / "config.json").unlink()
    if "model_type" in fields:
        (directory / "config.json").write_text(json.dumps(fields))
    return ground.convert(ground.clip, f"--tokenizer={directory}")


MAP = {"AutoTokenizer": ["evil.Evil", "evil.Evil"], "AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}
NO_MODULE = {"auto_map": MAP, "tokenizer_class": "Evil"}
TOKENIZERS = {
    "auto_map": NO_MODULE,
    "auto_map, a list": NO_MODULE | {"auto_map": ["evil.Evil", None]},
    "auto_map of another repository": NO_MODULE | {"auto_map": {"AutoTokenizer": ["some/one--evil.Evil", None]}},
    "auto_map of the configuration": {"auto_map": MAP, "model_type": "evil"},
    "says that it may be trusted": NO_MODULE | {"trust_remote_code": True},
    "beside a model": NO_MODULE,
    "beside a model, a chat template": {"chat_template": "{{ cycler.__init__.__globals__.os.system('exit') }}"},
}


def pickles(code: str) -> dict[str, bytes]:
    """Ways to make a pickle call `exec`."""
    text = b"V" + code.encode() + b"\n"
    short = b"\x8c" + bytes([len(code)]) + code.encode()
    return {
        "GLOBAL, REDUCE": b"cbuiltins\nexec\n(" + text + b"tR.",
        "INST": b"(" + text + b"ibuiltins\nexec\n.",
        "OBJ": b"(cbuiltins\nexec\n" + text + b"o.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93" + short + b"\x85R.",
        "EXT": b"\x80\x02\x82" + bytes([EXTENSION]) + text + b"\x85R.",
        "BUILD": b"ccollections\nUserDict\n)R}V__setstate__\ncbuiltins\nexec\nsb" + text + b"b.",
        "a dotted name": b"\x80\x04\x8c\x0bcollections\x8c\x10_sys.modules.get\x93\x8c\x08builtins\x85R"
        b"\x940\x8c\x08builtins\x8c\x04exec\x93" + short + b"\x85R.",
    }


def torch_zip(path: Path, content: bytes, **more: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {"archive/data.pkl": content, "archive/version": "3", **more}.items():
            archive.writestr(name, text)
    return path


def in_torch_file(ground: Ground, form: str) -> list[str]:
    return ground.convert(torch_zip(ground.folder / "clip.pt", pickles(ground.code)[form]))


def in_weights(ground: Ground, config: str, weights: str) -> list[str]:
    directory = ground.copy(ground.clip, "model")
    (directory / "model.safetensors").unlink()
    if config == "open_clip_config.json":
        fields = {"model_cfg": {"embed_dim": 64, "vision_cfg": {}, "text_cfg": {}}, "preprocess_cfg": {}}
        (directory / config).write_text(json.dumps(fields))
    torch_zip(directory / weights, pickles(ground.code)["GLOBAL, REDUCE"])
    return ground.convert(directory)


def in_bin(ground: Ground, form: str) -> list[str]:
    """Pairs of faces in a pickle; which file it is only a config can say."""
    (ground.folder / "faces.bin").write_bytes(pickles(ground.code)[form])
    (ground.folder / "mine.py").write_text(
        "from configs.faces_orl import get_config as faces\n"
        "def get_config():\n"
        "    config = faces()\n"
        f"    config.data.images, config.alignment.images = {str(ground.images / 'train')!r}, ''\n"
        f"    config.pairs = {{'mine': {{'path': {str(ground.folder / 'faces.bin')!r}, 'images': ''}}}}\n"
        "    config.data.held_out, config.data.batch_size = 0, 8\n"
        "    return config\n"
    )
    options = [f"--config={ground.folder / 'mine.py'}", f"--model={ground.clip}"]
    return ["evaluate", *options, f"--output={ground.folder / 'e.json'}"]


def torch_file_of_old(ground: Ground) -> list[str]:
    """Before torch 1.6: pickles, one after the other."""
    path = ground.folder / "clip.pt"
    path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickles(ground.code)["GLOBAL, REDUCE"])
    return ground.convert(path)


def torch_script(ground: Ground) -> list[str]:
    module = b"\x80\x02c__torch__.evil\nEvil\n)\x81}b."
    code = {f"archive/code/__torch__/{name}": ground.code for name in ("evil.py", "__init__.py")}
    (ground.folder / "__torch__").mkdir()
    (ground.folder / "__torch__" / "evil.py").write_text(ground.code)
    return ground.convert(torch_zip(ground.folder / "clip.pt", module, **code))


def zip_slip(ground: Ground, name: str) -> list[str]:
    path = ground.folder / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member in (f"../../{ground.marker.name}", f"../{ground.marker.name}", str(ground.marker)):
            archive.writestr(f"{member}{'.png' if name == 'explain' else ''}", ground.picture().read_bytes())
    if name == "explain":
        return ground.explain(ground.clip, path)
    return [name, f"--{'reports' if name == 'descriptors' else 'source'}={path}", f"--output={ground.folder / 'o'}"]


def disguised(ground: Ground, name: str, content: str, command: str = "explain") -> list[str]:
    """A file of another kind under a picture's name."""
    picture = ground.folder / "pictures" / "cat" / name
    picture.parent.mkdir(parents=True)
    picture.write_text(content.replace("MARKER", str(ground.marker)))
    if command == "prepare":
        return ["prepare", f"--source={picture.parents[1]}", f"--output={ground.folder / 'output'}"]
    return ground.explain(ground.clip, picture)


EPS = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(MARKER) (w) file closefile\nshowpage\n%%EOF\n"
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script href="file://MARKER"/><image href="file://MARKER"/></svg>'
PDF = "%PDF-1.4\n1 0 obj <</Type /Catalog /OpenAction <</S /Launch /F (MARKER)>>>> endobj\ntrailer <</Root 1 0 R>>\n"


def template(ground: Ground, text: str) -> list[str]:
    """A tuned model whose prompts reach into what is put into them."""
    model = ground.copy(ground.tuned, "model")
    edit(model / "ecor.json", lambda known: known["methods"]["ecor"].update(pair=text) or known)
    return ["explain", f"--model={model}", f"--output={ground.folder / 'page'}", "--images", str(ground.picture())]


def modules_beside(ground: Ground) -> list[str]:
    """In every folder that is read, modules of the names that Python and pytest look for."""
    images = ground.copy(ground.images / "test", "pictures")
    for folder in filter(Path.is_dir, images.iterdir()):
        for name in ("__init__.py", "sitecustomize.py"):
            (folder / name).write_text(ground.code)
    return ground.explain(ground.copy(ground.tuned, "model"), images)


def weights_that_say_more(ground: Ground) -> list[str]:
    from safetensors.numpy import load_file, save_file

    model = ground.copy(ground.clip, "model")
    said = {"format": "pt", "__reduce__": "builtins.exec", "auto_map": '{"AutoModel": "evil.Evil"}'}
    save_file(load_file(model / "model.safetensors"), model / "model.safetensors", said)
    return ground.convert(model)


def texts_that_look_like_code(ground: Ground) -> list[str]:
    """YAML's tags, format strings, shell and formulas, as classes and rationales."""
    names = {"cat": ["!!python/name:os.x", "{0.__class__}", "$(touch x)"], "=cmd|' /C calc'!A0": ["`touch x`", "%(x)s"]}
    (ground.folder / "rationales.json").write_text(json.dumps(names))
    for name in ("cat", "=cmd|' _C calc'!A0"):
        (ground.folder / "images" / name).mkdir(parents=True)
        shutil.copy(ground.picture(), ground.folder / "images" / name / "$(touch x).png")
    command = ground.explain(ground.tuned, ground.folder / "images")
    return [*command, f"--rationales={ground.folder / 'rationales.json'}"]


def reports_that_look_like_code(ground: Ground) -> list[str]:
    table = ground.folder / "reports.csv"
    rows = ["=cmd|' /C calc'!A0,No effusion.,Clear lungs.", "@SUM(1+1),{{ 1 }} !!python/none,=1+1 is seen."]
    table.write_text("\n".join(["uid,findings,impression", *rows]) + "\n")
    return ["descriptors", f"--reports={table}", f"--output={ground.folder / 'output'}"]


TEMPLATES = {
    "class": "{c.__class__}",
    "globals": "{c} {r.__init__.__globals__}",
    "conversion": "{c!r} {r}",
    "width": "{c:>99} {r}",
}
WEIGHTS = {"config.json": "pytorch_model.bin", "open_clip_config.json": "open_clip_pytorch_model.bin"}
FORMS = list(pickles(""))
# What each must end with: a text in the error, or None where there is nothing to refuse.
CASES: dict[str, tuple[Callable[[Ground], list[str]], str | None]] = {
    **{f"records, {name}": (partial(records, change=change), "features.json") for name, change in RECORDS.items()},
    **{
        f"tokenizer, {name}": (partial(tokenizer, fields=fields, beside_a_model=name.startswith("beside")), "")
        for name, fields in TOKENIZERS.items()
    },
    **{f"torch file, {form}": (partial(in_torch_file, form=form), "clip.pt") for form in FORMS},
    **{f".bin, {form}": (partial(in_bin, form=form), "faces.bin") for form in FORMS},
    **{
        f"weights, {file}": (partial(in_weights, config=config, weights=file), file) for config, file in WEIGHTS.items()
    },
    "torch file of old": (torch_file_of_old, "clip.pt"),
    "TorchScript": (torch_script, "clip.pt"),
    **{f"zip, {name}": (partial(zip_slip, name=name), "outside") for name in ("explain", "prepare", "descriptors")},
    "EPS, explain": (partial(disguised, name="cat.jpg", content=EPS), "cat.jpg"),
    "EPS, prepare": (partial(disguised, name="cat.jpg", content=EPS, command="prepare"), "cat.jpg"),
    "SVG": (partial(disguised, name="cat.png", content=SVG), "cat.png"),
    "PDF": (partial(disguised, name="cat.png", content=PDF), "cat.png"),
    **{f"template, {name}": (partial(template, text=text), "braces") for name, text in TEMPLATES.items()},
    "modules beside": (modules_beside, None),
    "weights": (weights_that_say_more, None),
    "texts": (texts_that_look_like_code, None),
    "reports": (reports_that_look_like_code, None),
}

# All cases in one process, whose working directory holds all their folders; every question is answered with a yes.
# Besides markers, what is opened of the planted modules and which programs are started is watched.
PROGRAM = """
import contextlib, copyreg, importlib, io, json, os, sys, traceback
from pathlib import Path

cases = json.loads(Path("cases.json").read_text())
copyreg.add_extension("builtins", "exec", int(sys.argv[1]))
from ecor_jax.errors import UserError
from ecor_jax.commands import cli

seen = []
def watch(event, arguments):
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn"):
        seen.append(f"{event} {arguments[:2]}")
    if event == "open" and str(arguments[0]).endswith((".py", ".pyc")) and str(arguments[0]).startswith(os.getcwd()):
        seen.append(f"open {arguments[0]}")
sys.addaudithook(watch)

def call(name, *arguments):
    module = importlib.import_module(f"ecor_jax.commands.{name}")
    try:
        module.main(cli.parse(module.parser(), arguments))
    except UserError as error:
        return f"error: {error}"
    except BaseException:
        return traceback.format_exc()
    return ""

report = {}
for case, arguments in cases.items():
    sys.stdin, printed = io.StringIO("y\\n" * 100), io.StringIO()
    seen.clear()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        end = call(*arguments)
    report[case] = {"end": end, "printed": printed.getvalue(), "seen": list(seen)}
Path("report.json").write_text(json.dumps(report))
"""


@pytest.fixture(scope="module")
def reported(tiny_clip, tiny_pictures, tmp_path_factory) -> tuple[dict[str, Ground], dict[str, dict]]:
    """Of every case, its ground and what came of it."""
    (images, rationales), root = tiny_pictures, tmp_path_factory.mktemp("foreign")
    whole, work = root / "whole", root / "work"
    work.mkdir()
    prepare(images, whole / "records", "train")
    model = load_clip(tiny_clip)
    vision = model.clip.config.vision
    prompts = VisualPrompts(vision, 1, prompt_layers("shallow", vision.layers), rngs=nnx.Rngs(0))
    tuned = TunedModel(model, {"ecor": Tuned(METHODS["ecor"], prompts)}, Vocabulary.from_file(rationales))
    save_tuned(whole / "tuned", tuned)
    grounds, commands = {}, {}
    for number, (name, (build, _)) in enumerate(CASES.items()):
        folder = work / f"case{number}"
        folder.mkdir()
        grounds[name] = Ground(folder, tiny_clip, whole / "tuned", whole / "records", images, rationales)
        commands[name] = build(grounds[name])
    (work / "cases.json").write_text(json.dumps(commands))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ECOR_CACHE": str(root / "cache")}
    command = [sys.executable, "-B", "-c", PROGRAM, str(EXTENSION)]
    result = subprocess.run(command, cwd=work, env=environment, input="", capture_output=True, text=True, timeout=600)
    assert result.returncode == 0 and "[y/N]" not in result.stderr, result.stderr[-3000:]
    return grounds, json.loads((work / "report.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_planted_code_does_not_run(reported, name):
    grounds, reports = reported
    report, expected = reports[name], CASES[name][1]
    said = report["end"] + report["printed"]
    assert not grounds[name].marker.exists()
    assert "Traceback" not in said and "[y/N]" not in said and "<class '" not in report["printed"], said
    assert [line for line in report["seen"] if "mine." not in line] == []
    if expected is None:
        assert report["end"] == ""
    elif expected:
        assert report["end"].startswith("error: ") and expected in said


@pytest.mark.parametrize("form", FORMS)
def test_these_pickles_would_run(form, tmp_path, monkeypatch):
    """If they were read with Python's own unpickler."""
    ground = Ground(tmp_path / "a", *[tmp_path] * 5)
    copyreg.add_extension("builtins", "exec", EXTENSION)
    try:
        with contextlib.suppress(pickle.UnpicklingError, TypeError):
            pickle.loads(pickles(ground.code)[form])
    finally:
        copyreg.remove_extension("builtins", "exec", EXTENSION)
    assert ground.marker.exists()

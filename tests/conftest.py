"""Eight CPU devices, strict dtypes, checked shapes, and the folder of real data, for every test."""

import dataclasses
import gc
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings
from jaxtyping import install_import_hook
from PIL import Image

from tests import shapes

os.environ.setdefault("JAX_PLATFORMS", "cpu")
FLAGS = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
# Tests compile far more than they compute: not to optimise the machine code halves their time. Those that are marked
# `optimized` are run as users compile instead.
if "xla_backend_optimization_level" not in FLAGS:
    FLAGS += " --xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = FLAGS.strip()
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# No dtype and no rank is promoted silently, neither here nor in the commands that tests start.
os.environ["JAX_NUMPY_DTYPE_PROMOTION"] = "strict"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"

# Annotated shapes are checked at every call.
install_import_hook("ecor_jax", f"{shapes.__name__}.check")


# Not while test files are imported, all of which stays.
gc.disable()

# A shell's background jobs, and what they start, ignore Ctrl-C: tests of it would fail there.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failure.
settings.register_profile("ecor", deadline=None)
settings.load_profile("ecor")


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """When a restore is refused, TensorStore's other reads find nobody waiting, at some time in a later test.

    The commands pass over the same message (ecor_jax/commands/cli.py).
    """
    default = sys.unraisablehook
    sys.unraisablehook = lambda found: None if str(found.exc_value) == "Event loop is closed" else default(found)


@pytest.fixture(scope="module", autouse=True)
def _little_to_search():
    """What is there before a file's tests stays: to collect garbage is not to go through imports and JAX's caches."""
    # What another file's tests have left is told of there, or not at all.
    hook, sys.unraisablehook = sys.unraisablehook, lambda found: None
    gc.collect()
    sys.unraisablehook = hook
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images, rationales and weights' helpers; the test is skipped where it is missing."""
    folder = Path(os.environ.get("ECOR_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the data folder: set ECOR_DATA (looked at {folder})")
    return folder


@pytest.fixture(scope="session")
def mimic_tree() -> ModuleType:
    """Builders of MIMIC-shaped folders."""
    from tests.radiology.xray import mimic_tree

    return mimic_tree


@pytest.fixture(scope="session")
def of_all_workers(tmp_path_factory) -> Path:
    """A folder that the processes of one run of the tests share."""
    root = tmp_path_factory.getbasetemp()
    return root.parent if "PYTEST_XDIST_WORKER" in os.environ else root


@pytest.fixture(scope="session")
def made_once(of_all_workers) -> Callable[[str, Callable[[Path], object]], Path]:
    """A folder of a name, filled by the first worker who asks for it; tests change copies alone."""

    def folder_of(name: str, fill: Callable[[Path], object]) -> Path:
        folder, whole = of_all_workers / "made" / name, of_all_workers / "made" / f"{name}.whole"
        folder.parent.mkdir(exist_ok=True)
        with FileLock(folder.with_name(f"{name}.lock")):
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                whole.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def compiled(of_all_workers) -> Path:
    """JAX's folder of compiled programs: as many processes compile the same ones, each is compiled once."""
    return of_all_workers / "compiled"


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory, compiled):
    """Text banks and programs of the tests stay among the tests' files."""
    import jax

    os.environ["ECOR_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    jax.config.update("jax_compilation_cache_dir", str(compiled))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.fixture
def swept():
    """What Orbax dropped is collected within the test, whose filter of warnings knows of it."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def transformers_clip() -> Callable[[Any], Any]:
    """Makes transformers' model of a ClipConfig, every parameter random: none is left at zero or one."""
    torch = pytest.importorskip("torch")
    from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

    def fields(tower, **more) -> dict:
        return {
            "hidden_size": tower.width,
            "num_hidden_layers": tower.layers,
            "num_attention_heads": tower.heads,
            "intermediate_size": tower.mlp_width,
            **more,
        }

    def make(config):
        text, vision, act = config.text, config.vision, config.activation
        siglip = vision.pooling == "attention"
        act = "gelu_pytorch_tanh" if siglip else act
        text = fields(text, hidden_act=act, vocab_size=text.vocab_size, max_position_embeddings=text.context_length)
        vision = fields(vision, hidden_act=act, image_size=vision.image_size, patch_size=vision.patch_size)
        text |= {"bos_token_id": None, "eos_token_id": 2}
        torch.manual_seed(0)
        if siglip:
            text |= {"projection_size": config.embed_dim}
            model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).eval()
        else:
            whole = {"projection_dim": config.embed_dim}
            model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, **whole)).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name == "logit_scale":
                    parameter.fill_(4.75 if siglip else 2.5)
                elif name == "logit_bias":
                    parameter.fill_(-16.5)
                elif name.endswith("bias"):
                    parameter.normal_(0, 0.1)
                elif parameter.ndim == 1:
                    parameter.normal_(1, 0.2)
                elif "proj" in name or "fc" in name:
                    # Wide enough that attention is not uniform and the activation is used beyond its linear part.
                    parameter.normal_(0, parameter.shape[1] ** -0.5)
        return model

    return make


@pytest.fixture(scope="session")
def tiny_clip(made_once) -> Path:
    """A model directory with a CLIP of random weights (shapes and numerics only), its tokenizer of a few captions."""
    return made_once("models", lambda folder: _write_tiny(folder / "tiny", "tiny/16-8")) / "tiny"


@pytest.fixture(scope="session")
def tiny_siglip(made_once) -> Path:
    """The same of a SigLIP."""
    return made_once("siglips", lambda folder: _write_tiny(folder / "tiny", "tiny/siglip-16-8")) / "tiny"


def _write_tiny(directory: Path, name: str) -> None:
    from flax import nnx

    from ecor_jax.checkpoints.model_dir import save_clip
    from ecor_jax.clip.config import preset
    from ecor_jax.clip.model import Clip
    from ecor_jax.clip.preprocessing import Preprocess
    from ecor_jax.clip.tokenizer import learn_tokenizer

    config = preset(name)
    captions = ["this is a photo of a cat because there is a long tail.", "a dog with four legs and a wet nose"]
    tokenizer = learn_tokenizer(captions, config.text.vocab_size, config.text.context_length)
    config = dataclasses.replace(config, text=dataclasses.replace(config.text, vocab_size=len(tokenizer)))
    save_clip(directory, Clip(config, rngs=nnx.Rngs(0)), tokenizer, Preprocess(16))


@pytest.fixture(scope="session")
def tiny_pictures(made_once) -> tuple[Path, Path]:
    """A folder with train/ and test/ of three classes of coloured squares, and their rationales."""
    colours = {"cat": (200, 40, 40), "dog": (40, 200, 40), "grey_seal": (120, 120, 120)}
    rationales = {
        "cat": ["a long tail", "whiskers"],
        "dog": ["a wet nose", "a long tail", "four legs"],
        "grey seal": ["flippers", "whiskers"],
    }

    def fill(root: Path) -> None:
        for split, count, first in (("train", 8, 0), ("test", 5, 8)):
            for name, colour in colours.items():
                (root / "images" / split / name).mkdir(parents=True)
                for number in range(count):
                    shade = tuple(value + first + number for value in colour)
                    Image.new("RGB", (20, 18), shade).save(root / "images" / split / name / f"{number}.png")
        (root / "rationales.json").write_text(json.dumps(rationales))

    root = made_once("pictures", fill)
    return root / "images", root / "rationales.json"


@pytest.fixture(scope="session")
def few_words(made_once) -> Path:
    """A file of 12 classes and 42 rationales, most of which several classes have."""
    names = ("ant", "bee", "cat", "cow", "dog", "eel", "fox", "hen", "owl", "pig", "ram", "yak")
    parts = ("ears", "eyes", "legs", "markings on its back", "a tail", "a coat of hair", "a nose")
    rationales = [f"{part}, {look}" for part in parts for look in ("long", "short", "grey", "soft", "broad", "dark")]
    lists = {name: rationales[3 * row : 3 * row + 9] for row, name in enumerate(names)}
    return made_once("few", lambda root: (root / "few.json").write_text(json.dumps(lists))) / "few.json"

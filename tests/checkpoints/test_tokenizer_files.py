"""Tokenizers as they lie beside checkpoints."""

import dataclasses
import gzip
import json

import pytest
from transformers import AutoTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from ecor_jax.checkpoints.tokenizer_files import read_tokenizer
from ecor_jax.clip.config import preset
from ecor_jax.errors import UserError

TEXT = "a dog with four legs, isn't it?"


@pytest.fixture(scope="module")
def merges(tmp_path_factory):
    symbols = bytes_to_unicode().values()
    lines = ["heading", *(f"{first} {second}" for first in symbols for second in symbols)][:48895]
    path = tmp_path_factory.mktemp("openai") / "merges.txt.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def test_openais_merges_make_the_files_of_hugging_face_old_and_new(merges, tmp_path):
    text = preset("openai/ViT-B-32").text
    tokenizer = read_tokenizer(merges, text)
    assert len(tokenizer) == 49408 and tokenizer.model_max_length == 77
    tokenizer.save_pretrained(tmp_path / "new")
    assert read_tokenizer(tmp_path / "new", text)(TEXT).input_ids == tokenizer(TEXT).input_ids
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]  # type: ignore
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = "\n".join(" ".join(merge) for merge in model["merges"])
    (tmp_path / "old" / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    assert read_tokenizer(tmp_path / "old", text)(TEXT).input_ids == tokenizer(TEXT).input_ids


def test_a_learned_tokenizer_under_a_clip_configuration(huggingface_dir, tokenizer, config):
    # config.json lies beside it, and must not make transformers take it for CLIP's own kind.
    assert read_tokenizer(huggingface_dir, config.text)(TEXT).input_ids == tokenizer(TEXT).input_ids


@pytest.mark.parametrize(
    "name", ["CLIPTokenizer", "CLIPTokenizerFast", None, "PreTrainedTokenizerFast", "TokenizersBackend"]
)
def test_the_class_is_the_one_that_transformers_takes(name, merges, huggingface_dir, config, edit_json):
    text = config.text
    if name in ("CLIPTokenizer", "CLIPTokenizerFast", None):
        text = preset("openai/ViT-B-32").text
        read_tokenizer(merges, text).save_pretrained(huggingface_dir)
    edit_json(huggingface_dir / "tokenizer_config.json", "tokenizer_class", name)
    ours, theirs = read_tokenizer(huggingface_dir, text), AutoTokenizer.from_pretrained(huggingface_dir)
    assert type(ours) is type(theirs)
    assert ours.backend_tokenizer.to_str() == theirs.backend_tokenizer.to_str()
    assert ours.init_kwargs.keys() == theirs.init_kwargs.keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 200}, r"the tokenizer has \d+ tokens; the text tower embeds 200"),
        ({"eot_id": 7}, "of 'a'; the text tower takes token 7 for the end of a text"),
        ({"eot_id": 262}, "of 'a'; the text tower takes token 262 for the end of a text"),
    ],
    ids=["too many", "not there", "not the last"],
)
def test_ids_that_the_tower_does_not_know_are_refused(changes, message, huggingface_dir, config):
    with pytest.raises(UserError, match=message):
        read_tokenizer(huggingface_dir, dataclasses.replace(config.text, **changes))


def test_missing_and_broken_files(huggingface_dir, tmp_path, config):
    with pytest.raises(UserError, match=r"no tokenizer; expected tokenizer\.json or vocab\.json"):
        read_tokenizer(tmp_path, config.text)
    (huggingface_dir / "tokenizer.json").write_text('{"version": "1.0", "model": 3}')
    with pytest.raises(UserError, match="its tokenizer cannot be read"):
        read_tokenizer(huggingface_dir, config.text)
    (huggingface_dir / "tokenizer_config.json").write_text("{")
    with pytest.raises(UserError, match=r"tokenizer_config\.json: not JSON"):
        read_tokenizer(huggingface_dir, config.text)


def test_no_code_of_a_checkpoint_is_run(huggingface_dir, config, edit_json):
    (huggingface_dir / "evil.py").write_text("raise SystemExit('code of the checkpoint ran')")
    auto_map = {"AutoTokenizer": ["evil.Tokenizer", None]}
    edit_json(huggingface_dir / "tokenizer_config.json", "auto_map", auto_map)
    edit_json(huggingface_dir / "tokenizer_config.json", "tokenizer_class", "Tokenizer")
    try:
        read_tokenizer(huggingface_dir, config.text)
    except UserError as error:
        assert "its tokenizer cannot be read" in str(error)


@pytest.mark.parametrize(
    "content", [b"", b"not gzip", gzip.compress(b"#version\na b\n", mtime=0), gzip.compress(b"\xff", mtime=0)]
)
def test_another_file_than_openais_merges(content, tmp_path, config):
    (tmp_path / "merges.gz").write_bytes(content)
    with pytest.raises(UserError, match=r"merges\.gz: (not OpenAI's|does not make CLIP's)"):
        read_tokenizer(tmp_path / "merges.gz", config.text)

"""SigLIP's directories, of Hugging Face and of OpenCLIP, and its tokenizers."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast, SiglipTokenizer
from transformers.convert_slow_tokenizer import import_protobuf

from ecor_jax.checkpoints import huggingface, openclip
from ecor_jax.checkpoints.model_dir import load_clip, save_clip
from ecor_jax.checkpoints.sentencepiece import sentencepiece_tokenizer
from ecor_jax.checkpoints.source import read_source
from ecor_jax.checkpoints.tokenizer_files import read_tokenizer
from ecor_jax.clip.config import SIGLIP_TEXT, TextConfig
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.clip.tokenizer import TextTooLong, tokenize
from ecor_jax.errors import UserError


@pytest.fixture(scope="module")
def texts(captions) -> list[str]:
    return [
        *captions,
        "  A   PHOTO\tof\na dog ",
        "it's a cat-like thing_with under_scores",
        "\u2581strange \u2581 marks",
        "ZEBRA \u00c9CLAIR 42% \u732b",
        "x" * 30,
    ]


def test_a_hugging_face_directory_embeds_as_the_torch_model(siglip_dir, siglip, assert_siglip_embeds):
    model = load_clip(siglip_dir)
    assert model.clip.config == siglip
    assert model.preprocess == Preprocess(26, (0.5,) * 3, (0.5,) * 3, resize="squash", resample="bilinear")
    assert_siglip_embeds(model.clip)


def test_out_again_bit_for_bit_and_read_by_transformers(siglip_dir, tmp_path, torch, siglip_reference, texts):
    model = load_clip(siglip_dir)
    save_clip(tmp_path / "saved", model.clip, model.tokenizer, model.preprocess)
    theirs = AutoModel.from_pretrained(tmp_path / "saved")
    assert type(theirs) is type(siglip_reference)
    for name, expected in siglip_reference.state_dict().items():
        assert torch.equal(theirs.state_dict()[name], expected), name
    again = load_clip(tmp_path / "saved")
    assert again.digest == model.digest and again.preprocess == model.preprocess
    for tokenizer in (again.tokenizer, AutoTokenizer.from_pretrained(tmp_path / "saved")):
        assert tokenizer(texts)["input_ids"] == model.tokenizer(texts)["input_ids"]


def test_an_openclip_directory_embeds_as_the_torch_model(timm_dir, siglip, assert_siglip_embeds):
    clip, preprocess, cleaning = openclip.read(timm_dir)
    assert clip.config == siglip and cleaning == "canonicalize"
    assert (preprocess.size, preprocess.resize, preprocess.resample) == (26, "squash", "bicubic")
    assert_siglip_embeds(clip)


@pytest.mark.parametrize(
    ("name", "vision", "text"),
    [
        ("vit_base_patch16_siglip_224", "gelu", None),
        ("vit_large_patch16_siglip_384", "gelu", None),
        ("vit_so400m_patch14_siglip_378", "gelu", None),
        ("vit_base_patch16_siglip_224", "gelu", "gelu_tanh"),
        ("vit_base_patch32_siglip_256", "gelu_tanh", None),
        ("vit_large_patch16_siglip_512", "gelu_tanh", None),
        ("vit_so400m_patch16_siglip_512", "gelu_tanh", "gelu"),
        ("vit_giantopt_patch16_siglip_384", "gelu_tanh", None),
    ],
)
def test_the_activations_of_timms_towers_and_of_the_text_tower_are_told_apart(name, vision, text):
    """timm 1.0.31's definitions; OpenCLIP's text tower says its own."""
    of_text = {"norm_kwargs": {"eps": 1e-6}}
    if (text or vision) == "gelu_tanh":
        of_text["act_kwargs"] = {"approximate": "tanh"}
    width = openclip.timm_siglip._TOWERS[name.split("_")[1]]["width"]
    of_vision = {"image_size": int(name[-3:]), "timm_model_name": name}
    config = openclip.read_config({"vision_cfg": of_vision, "text_cfg": of_text, "embed_dim": width}, None)
    assert (config.activation, config.text.activation) == (vision, text)


def test_towers_may_differ_in_their_activation(siglip_dir, edit_json):
    edit_json(siglip_dir / "config.json", "text_config.hidden_act", "gelu")
    clip = read_source(siglip_dir).clip
    assert (clip.config.activation, clip.config.text.activation) == ("gelu_tanh", "gelu")
    assert huggingface.config_fields(clip.config, None)["text_config"]["hidden_act"] == "gelu"


def test_a_sentencepiece_model_makes_the_ids_of_transformers(siglip_dir, siglip, texts):
    theirs = SiglipTokenizer.from_pretrained(siglip_dir)
    ours = read_tokenizer(siglip_dir, siglip.text)
    assert isinstance(ours, PreTrainedTokenizerFast) and ours.pad_token_id == theirs.pad_token_id == 1
    for text in texts:
        assert ours(text)["input_ids"] == theirs(text)["input_ids"], text
    padded = theirs(texts, padding="max_length", max_length=64)["input_ids"]
    np.testing.assert_array_equal(tokenize(ours, texts, 64, padded=True), padded)


def test_what_is_too_long_or_nothing_but_punctuation_is_refused(siglip_dir, siglip):
    tokenizer = read_tokenizer(siglip_dir, siglip.text)
    with pytest.raises(UserError, match=r"leaves nothing of a text to encode, '[?]!'"):
        tokenize(tokenizer, ["a cat", "?!"], 64, padded=True)
    with pytest.raises(TextTooLong, match="the text tower reads at most 64"):
        tokenize(tokenizer, ["a cat " * 40], 64, padded=True)


@pytest.mark.parametrize("name", [[], {}, 3, None])
def test_a_tokenizer_of_no_class_is_read_by_its_files(name, siglip_dir, siglip, edit_json):
    edit_json(siglip_dir / "tokenizer_config.json", "tokenizer_class", name)
    assert read_tokenizer(siglip_dir, siglip.text)("a photo")["input_ids"][-1] == 1


def test_a_tokenizer_of_less_than_half_the_vocabulary_is_refused(siglip_dir, siglip):
    larger = dataclasses.replace(siglip.text, vocab_size=500)
    with pytest.raises(UserError, match=r"the tokenizer has \d+ tokens; the text tower embeds 500"):
        read_tokenizer(siglip_dir, larger)


def test_damaged_sentencepiece_models_are_refused(spiece, tmp_path):
    whole = spiece.read_bytes()
    table = import_protobuf().ModelProto.FromString(whole)
    table.normalizer_spec.precompiled_charsmap = b"\xff" * 20
    for content in (b"", b"not a model", b"\x0a\xff\xff\xff\xff", whole[: len(whole) // 2], table.SerializeToString()):
        (tmp_path / "spiece.model").write_bytes(content)
        with pytest.raises(UserError, match=r"spiece\.model: is no SentencePiece model"):
            sentencepiece_tokenizer(tmp_path / "spiece.model", 64)


OF_SIGLIP_2 = TextConfig(64, 64, 32, 1, 1, 32, **SIGLIP_TEXT)


@pytest.fixture
def gemma_dir(tmp_path, captions) -> Path:
    """A tokenizer.json of Gemma's kind: byte pairs, spaces to '\u2581', case kept, the end of text behind."""
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}
    tokens = [*special.values(), *sorted(set("".join(captions).replace(" ", "\u2581")))]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    tokenizer.add_special_tokens(list(special.values()))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["GemmaTokenizer", "GemmaTokenizerFast", "Siglip2Tokenizer"])
def test_siglip_2_reads_lower_case(name, gemma_dir, captions, edit_json):
    edit_json(gemma_dir / "tokenizer_config.json", "tokenizer_class", name)
    tokenizer = read_tokenizer(gemma_dir, OF_SIGLIP_2)
    theirs = AutoTokenizer.from_pretrained(gemma_dir)  # of which Siglip2Tokenizer lowers the case itself
    for caption in captions[:3]:
        expected = theirs(caption.lower())["input_ids"]
        assert tokenizer(caption)["input_ids"] == tokenizer(caption.lower())["input_ids"] == expected
    assert tokenize(tokenizer, ["a cat"], 64, padded=True)[0, -1] == 0


@pytest.mark.parametrize(
    ("file", "key", "message"),
    [
        (
            "tokenizer.json",
            "post_processor",
            "of 'a'; the text tower takes one that ends with the end of text, token 1",
        ),
        ("tokenizer_config.json", "pad_token", "has no token that pads texts"),
    ],
)
def test_a_tokenizer_that_does_not_end_or_pad_texts_is_refused(file, key, message, gemma_dir, edit_json):
    edit_json(gemma_dir / file, key, None)
    with pytest.raises(UserError, match=message):
        read_tokenizer(gemma_dir, OF_SIGLIP_2)

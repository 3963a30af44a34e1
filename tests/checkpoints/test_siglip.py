"""SigLIP's directories, of Hugging Face and of OpenCLIP, and its tokenizers."""

import dataclasses
import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast, SiglipTokenizer

from ecor_jax.checkpoints import huggingface, openclip
from ecor_jax.checkpoints.model_dir import load_clip, save_clip
from ecor_jax.checkpoints.sentencepiece import sentencepiece_tokenizer
from ecor_jax.checkpoints.source import read_source
from ecor_jax.checkpoints.tokenizer_files import read_tokenizer
from ecor_jax.clip.config import SIGLIP_TEXT, SIGLIP_VISION, ClipConfig, TextConfig, VisionConfig
from ecor_jax.clip.tokenizer import TextTooLong, tokenize
from ecor_jax.errors import UserError

CAPTIONS = [
    "A photo of a dog, because there is a wet nose!",
    "this is a photo of a cat because of its whiskers.",
    "four legs and a long tail; grey seals have flippers (two of them)",
    "Schnurrhaare über \u00bd Maul, d\u2019accord \ufb01n",
] * 20
TEXTS = [
    *CAPTIONS[:4],
    "  A   PHOTO\tof\na dog ",
    "it's a cat-like thing_with under_scores",
    "\u2581strange \u2581 marks",
    "ZEBRA \u00c9CLAIR 42% \u732b",
    "x" * 30,
]


@pytest.fixture(scope="module")
def spiece(tmp_path_factory) -> Path:
    """A SentencePiece model with SigLIP's special tokens."""
    trainer = pytest.importorskip("sentencepiece").SentencePieceTrainer
    folder = tmp_path_factory.mktemp("spiece")
    (folder / "captions.txt").write_text("\n".join(CAPTIONS))
    special = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    trainer.train(
        input=str(folder / "captions.txt"),
        model_prefix=str(folder / "spiece"),
        vocab_size=80,
        hard_vocab_limit=False,
        minloglevel=2,
        **special,
    )
    return folder / "spiece.model"


@pytest.fixture(scope="module")
def siglip(spiece) -> ClipConfig:
    """A small shape in which no two sizes are equal by accident, and in which pixels at the border are not read."""
    vision = VisionConfig(26, 8, width=96, layers=3, heads=3, mlp_width=160, **SIGLIP_VISION)
    size = len(sentencepiece_tokenizer(spiece, 64))
    text = TextConfig(size, 64, width=64, layers=2, heads=2, mlp_width=112, **SIGLIP_TEXT)
    return ClipConfig(vision, text, 96, "gelu_tanh", 1e-6, logit_bias=True)


@pytest.fixture(scope="module")
def siglip_reference(transformers_clip, siglip):
    return transformers_clip(siglip)


@pytest.fixture
def siglip_dir(tmp_path, siglip_reference, spiece) -> Path:
    """As google/siglip-base-patch16-224 is laid out; files that others add there are left out."""
    directory = tmp_path / "siglip"
    siglip_reference.save_pretrained(directory)
    shutil.copy(spiece, directory / "spiece.model")
    special = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "SiglipTokenizer"} | special))
    preprocessor = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 26, "width": 26}, "resample": 2}
    (directory / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return directory


@pytest.fixture(scope="module")
def assert_siglip_embeds(torch, siglip_reference, siglip):
    """A check that a loaded model embeds, and scores pairs, as the torch model does."""
    rng, size = np.random.default_rng(0), siglip.vision.image_size
    images = rng.standard_normal((2, size, size, 3), dtype=np.float32)
    ids = rng.integers(0, siglip.text.vocab_size, (3, 64), dtype=np.int32)
    with torch.no_grad():
        pixels = torch.tensor(images).permute(0, 3, 1, 2)
        theirs = siglip_reference(input_ids=torch.tensor(ids, dtype=torch.int64), pixel_values=pixels)

    def check(clip, atol=1e-5) -> None:
        image, text = (unit(tower(jnp.asarray(x))) for tower, x in ((clip.vision, images), (clip.text, ids)))
        np.testing.assert_allclose(image, theirs.image_embeds.numpy(), rtol=0, atol=atol)
        np.testing.assert_allclose(text, theirs.text_embeds.numpy(), rtol=0, atol=atol)
        assert float(clip.scale()) > 100  # is not cut off
        logits = float(clip.scale()) * image @ text.T + float(clip.logit_bias[...])
        np.testing.assert_allclose(logits, theirs.logits_per_image.numpy(), rtol=0, atol=200 * atol)

    return check


def unit(x) -> np.ndarray:
    return np.asarray(x) / np.linalg.norm(np.asarray(x), axis=-1, keepdims=True)


def test_a_hugging_face_directory_embeds_as_the_torch_model(siglip_dir, siglip, assert_siglip_embeds):
    model = load_clip(siglip_dir)
    assert model.clip.config == siglip
    assert (model.preprocess.resize, model.preprocess.resample, model.preprocess.mean) == (
        "squash",
        "bilinear",
        (0.5,) * 3,
    )
    assert_siglip_embeds(model.clip)


def test_out_again_bit_for_bit_and_read_by_transformers(siglip_dir, tmp_path, torch, siglip_reference):
    from transformers import AutoModel

    model = load_clip(siglip_dir)
    save_clip(tmp_path / "saved", model.clip, model.tokenizer, model.preprocess)
    theirs = AutoModel.from_pretrained(tmp_path / "saved")
    assert type(theirs) is type(siglip_reference)
    for name, expected in siglip_reference.state_dict().items():
        assert torch.equal(theirs.state_dict()[name], expected), name
    again = load_clip(tmp_path / "saved")
    assert again.digest == model.digest and again.preprocess == model.preprocess
    for tokenizer in (again.tokenizer, AutoTokenizer.from_pretrained(tmp_path / "saved")):
        assert tokenizer(TEXTS)["input_ids"] == model.tokenizer(TEXTS)["input_ids"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_kept_exactly(dtype, siglip_dir, torch, siglip_reference, caplog):
    from safetensors.torch import save_file

    halves = {name: value.to(getattr(torch, dtype)) for name, value in siglip_reference.state_dict().items()}
    save_file(halves, siglip_dir / "model.safetensors")
    with caplog.at_level("INFO"):
        clip = huggingface.read(siglip_dir)
    assert f"model.safetensors: weights in {dtype}; each is kept exactly, as float32" in caplog.text
    probe = halves["vision_model.head.probe"].float().numpy()
    np.testing.assert_array_equal(np.asarray(clip.vision.pool.probe[...]), probe.reshape(-1))


TIMM = {
    "vision_model.embeddings.patch_embedding": "visual.trunk.patch_embed.proj",
    "vision_model.embeddings.position_embedding.weight": "visual.trunk.pos_embed",
    "vision_model.encoder.layers": "visual.trunk.blocks",
    "vision_model.post_layernorm": "visual.trunk.norm",
    "vision_model.head.probe": "visual.trunk.attn_pool.latent",
    "vision_model.head.attention.out_proj": "visual.trunk.attn_pool.proj",
    "vision_model.head.layernorm": "visual.trunk.attn_pool.norm",
    "vision_model.head": "visual.trunk.attn_pool",
    "text_model.encoder.layers": "text.transformer.resblocks",
    "text_model.embeddings.token_embedding": "text.token_embedding",
    "text_model.embeddings.position_embedding.weight": "text.positional_embedding",
    "text_model.final_layer_norm": "text.ln_final",
    "text_model.head": "text.text_projection",
}
BLOCKS = {
    "visual": {"layer_norm": "norm", "self_attn.out_proj": "attn.proj", "self_attn.q_proj.": "attn.qkv."},
    "text": {"layer_norm": "ln_", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj"}
    | {"self_attn.q_proj.": "attn.in_proj_"},
}


@pytest.fixture
def timm_dir(tmp_path, torch, siglip_reference, siglip, monkeypatch) -> Path:
    """The same weights as OpenCLIP has them: queries, keys and values together, the pool's keys and values too."""
    from safetensors.torch import save_file

    theirs, tensors = siglip_reference.state_dict(), {}
    for name, value in theirs.items():
        if ".k_proj." in name or ".v_proj." in name:
            continue
        if ".q_proj." in name:
            value = torch.cat([theirs[name.replace(".q_", f".{letter}_")] for letter in "qkv"])
        for before, after in TIMM.items():
            name = name.replace(before, after)
        for before, after in BLOCKS[name.split(".")[0]].items() if "." in name else ():
            name = name.replace(before, after)
        if "attention.in_proj_" in name:
            kind = name.split("_")[-1]
            stem = name.split(".attention.")[0]
            tensors[f"{stem}.q.{kind}"], tensors[f"{stem}.kv.{kind}"] = value[:96], value[96:]
            continue
        if name.endswith("pos_embed"):
            value = value[None]
        tensors[name] = value.reshape(()) if name.startswith("logit") else value
    directory = tmp_path / "openclip"
    directory.mkdir()
    save_file({name: value.contiguous() for name, value in tensors.items()}, directory / "open_clip_model.safetensors")
    shape = {"width": 96, "layers": 3, "heads": 3, "mlp_width": 160}
    monkeypatch.setitem(openclip.timm_siglip._TOWERS, "base", shape)
    monkeypatch.setattr(
        openclip.timm_siglip, "_NAME", openclip.timm_siglip.re.compile(r"vit_(base)_patch(8)_siglip_(26)")
    )
    text = {"context_length": 64, "vocab_size": siglip.text.vocab_size, "width": 64, "heads": 2, "layers": 2}
    text |= {"mlp_ratio": 112 / 64, "no_causal_mask": True, "proj_bias": True, "pool_type": "last"}
    text |= {"hf_tokenizer_name": "timm/x", "tokenizer_kwargs": {"clean": "canonicalize"}}
    text |= {"norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"}}
    vision = {"image_size": 26, "timm_model_name": "vit_base_patch8_siglip_26", "timm_model_pretrained": False}
    vision |= {"timm_pool": "map", "timm_proj": "none"}
    model = {"embed_dim": 96, "init_logit_bias": -10, "custom_text": True, "vision_cfg": vision, "text_cfg": text}
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    (directory / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": preprocess}))
    return directory


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
    fields = {"vision_cfg": {"image_size": int(name[-3:]), "timm_model_name": name}, "embed_dim": 0}
    fields["text_cfg"] = {"norm_kwargs": {"eps": 1e-6}}
    if (text or vision) == "gelu_tanh":
        fields["text_cfg"]["act_kwargs"] = {"approximate": "tanh"}
    fields["embed_dim"] = openclip.timm_siglip._TOWERS[name.split("_")[1]]["width"]
    config = openclip.read_config(fields, None)
    assert (config.activation, config.text.activation) == (vision, text)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model_cfg.vision_cfg.timm_pool", "avg", "vision_cfg.timm_pool is 'avg'"),
        ("model_cfg.vision_cfg.image_size", 24, "image_size is 24; vit_base_patch8_siglip_26 takes 26 pixels"),
        ("model_cfg.text_cfg.norm_kwargs", {"eps": 1e-5}, "norm_kwargs is {'eps': 1e-05}; expected"),
        ("model_cfg.text_cfg.act_kwargs", {"approximate": "none"}, "act_kwargs.approximate is 'none'"),
        ("model_cfg.text_cfg.pool_type", "argmax", "text_cfg.pool_type is 'argmax'"),
        ("model_cfg.text_cfg.tokenizer_kwargs", {"clean": "lower"}, "tokenizer_kwargs.clean is 'lower'; expected"),
        ("model_cfg.embed_dim", 48, "embedded in 48 dimensions, but the vision tower has no projection and a width of"),
    ],
)
def test_what_a_siglip_of_openclips_lacks_is_refused_by_name(key, value, message, timm_dir, edit_json):
    edit_json(timm_dir / "open_clip_config.json", key, value)
    with pytest.raises(UserError, match=message):
        openclip.read(timm_dir)


def test_a_sentencepiece_model_makes_the_ids_of_transformers(siglip_dir, siglip):
    theirs = SiglipTokenizer.from_pretrained(siglip_dir)
    ours = read_tokenizer(siglip_dir, siglip.text)
    assert isinstance(ours, PreTrainedTokenizerFast) and ours.pad_token_id == theirs.pad_token_id == 1
    for text in TEXTS:
        assert ours(text)["input_ids"] == theirs(text)["input_ids"], text
    padded = theirs(TEXTS, padding="max_length", max_length=64)["input_ids"]
    np.testing.assert_array_equal(tokenize(ours, TEXTS, 64, padded=True), padded)


def test_what_is_too_long_or_nothing_but_punctuation_is_refused(siglip_dir, siglip):
    tokenizer = read_tokenizer(siglip_dir, siglip.text)
    with pytest.raises(UserError, match=r"leaves nothing of a text to encode, '[?]!'"):
        tokenize(tokenizer, ["a cat", "?!"], 64, padded=True)
    with pytest.raises(TextTooLong, match="the text tower reads at most 64"):
        tokenize(tokenizer, ["a cat " * 40], 64, padded=True)


@pytest.fixture
def gemma_dir(tmp_path) -> Path:
    """A tokenizer.json of Gemma's kind: byte pairs, spaces to '\u2581', case kept, the end of text behind."""
    letters = sorted(set("".join(CAPTIONS).replace(" ", "\u2581")))
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    tokenizer.add_special_tokens(["<pad>", "<eos>", "<bos>", "<unk>"])
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["GemmaTokenizer", "GemmaTokenizerFast", "Siglip2Tokenizer"])
def test_siglip_2_reads_lower_case(name, gemma_dir, edit_json):
    edit_json(gemma_dir / "tokenizer_config.json", "tokenizer_class", name)
    text = TextConfig(64, 64, 32, 1, 1, 32, **SIGLIP_TEXT)
    tokenizer = read_tokenizer(gemma_dir, text)
    assert tokenizer(CAPTIONS[0])["input_ids"] == tokenizer(CAPTIONS[0].lower())["input_ids"]
    theirs = AutoTokenizer.from_pretrained(gemma_dir)  # of which Siglip2Tokenizer lowers the case itself
    for caption in CAPTIONS[:3]:
        assert tokenizer(caption)["input_ids"] == theirs(caption.lower())["input_ids"]
    assert tokenize(tokenizer, ["a cat"], 64, padded=True)[0, -1] == 0


@pytest.mark.parametrize("name", [[], {}, 3, None])
def test_a_tokenizer_of_no_class_is_read_by_its_files(name, siglip_dir, siglip, edit_json):
    edit_json(siglip_dir / "tokenizer_config.json", "tokenizer_class", name)
    assert read_tokenizer(siglip_dir, siglip.text)("a photo")["input_ids"][-1] == 1


def test_tokenizers_of_another_vocabulary_are_refused(siglip_dir, siglip):
    larger = dataclasses.replace(siglip.text, vocab_size=500)
    with pytest.raises(UserError, match=r"the tokenizer has \d+ tokens; the text tower embeds 500"):
        read_tokenizer(siglip_dir, larger)


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
        read_tokenizer(gemma_dir, TextConfig(64, 64, 32, 1, 1, 32, **SIGLIP_TEXT))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x0a\xff\xff\xff\xff", "cut", "table"])
def test_damaged_sentencepiece_models_are_refused(content, spiece, tmp_path):
    whole = spiece.read_bytes()
    if content == "cut":
        content = whole[: len(whole) // 2]
    elif content == "table":
        from transformers.convert_slow_tokenizer import import_protobuf

        model = import_protobuf().ModelProto()
        model.ParseFromString(whole)
        model.normalizer_spec.precompiled_charsmap = b"\xff" * 20
        content = model.SerializeToString()
    (tmp_path / "spiece.model").write_bytes(content)
    with pytest.raises(UserError, match=r"spiece\.model: is no SentencePiece model"):
        sentencepiece_tokenizer(tmp_path / "spiece.model", 64)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("vision_config.vision_use_head", False, "without its head a vision tower has no embedding"),
        (
            "text_config.projection_size",
            64,
            "embedded in 64 dimensions, but the vision tower has no projection and a wid",
        ),
        (
            "vision_config.hidden_act",
            "gelu_new",
            "vision_config.hidden_act is 'gelu_new'; expected one of quick_gelu, ",
        ),
        ("text_config.max_position_embeddings", 32, r"position_embedding.weight \[64, 64\] \(expected \[32, 64\]\)"),
    ],
)
def test_a_field_that_does_not_fit_is_named(key, value, message, siglip_dir, edit_json):
    edit_json(siglip_dir / "config.json", key, value)
    with pytest.raises(UserError, match=message):
        huggingface.read(siglip_dir)


def test_towers_may_differ_in_their_activation(siglip_dir, edit_json):
    edit_json(siglip_dir / "config.json", "text_config.hidden_act", "gelu")
    clip = read_source(siglip_dir).clip
    assert (clip.config.activation, clip.config.text.activation) == ("gelu_tanh", "gelu")
    assert huggingface.config_fields(clip.config, None)["text_config"]["hidden_act"] == "gelu"

"""The table of supported and unsupported model families, which docs/weights.md renders and the tests iterate over."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ecor_jax.checkpoints.tensor_files import open_tensors
from ecor_jax.errors import UserError
from ecor_jax.untrusted.json_text import read_object


@dataclasses.dataclass(frozen=True)
class Supported:
    """A family of models whose weights can be loaded.

    source: an example of a hub id or file. shape: the preset of one architecture of the family. form: file format.
    options: options that `ecor-jax convert` needs for it.
    """

    name: str
    source: str
    shape: str
    activation: str
    preprocessing: str
    form: Literal["huggingface", "openclip", "file"] = "huggingface"
    options: str = ""

    @property
    def agrees(self) -> str:
        """The reference implementation that the tests compare the embeddings with."""
        model = "SiglipModel" if "siglip" in self.shape else "CLIPModel"
        return f"transformers' {model}" + ("" if self.form == "huggingface" else ", renamed")

    @property
    def command(self) -> str:
        return " ".join(["ecor-jax convert", f"--source={self.source}", *self.options.split(), "--output=DIR"])


@dataclasses.dataclass(frozen=True)
class Refused:
    """A family of models whose weights cannot be loaded.

    missing: the part of its architecture that our encoders do not implement. nearest: a supported alternative.
    signs: a regular expression that identifies the family; it is searched in texts made of the model's files:
      `key=value` for each field of a configuration, `tensor=NAME` for each tensor, and `name=` with the hub id or file.
    """

    name: str
    source: str
    missing: str
    nearest: str
    signs: str


_CROP = "shorter side, centre crop, bicubic"
_SQUARE = "square, bicubic"
_FILE = "--tokenizer=models/l14"

SUPPORTED = (
    Supported("CLIP", "openai/clip-vit-large-patch14", "openai/ViT-L-14", "quick_gelu", _CROP),
    Supported("CLIP, OpenAI's files", "ViT-B-32.pt", "openai/ViT-B-32", "quick_gelu", _CROP, "file", _FILE),
    Supported("LAION", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", "laion2b/ViT-H-14", "gelu", _CROP, "openclip"),
    Supported(
        "DataComp", "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K", "datacomp1b/ViT-B-16", "gelu", _CROP, "openclip"
    ),
    Supported(
        "DFN", "apple/DFN5B-CLIP-ViT-H-14-378", "dfn5b/ViT-H-14-378-quickgelu", "quick_gelu", _SQUARE, "openclip"
    ),
    Supported("MetaCLIP 1", "facebook/metaclip-b16-fullcc2.5b", "openai/ViT-B-16", "quick_gelu", _CROP),
    Supported("SigLIP", "google/siglip-base-patch16-224", "siglip/ViT-B-16", "gelu_tanh", _SQUARE),
    Supported("SigLIP 2", "google/siglip2-base-patch16-224", "siglip2/ViT-B-16", "gelu_tanh", "square, bilinear"),
    Supported("SigLIP and 2, OpenCLIP's", "timm/ViT-B-16-SigLIP", "siglip/ViT-B-16", "as timm's", _SQUARE, "openclip"),
    Supported("MedSigLIP", "google/medsiglip-448", "siglip/ViT-SO400M-14-448", "gelu_tanh", "square, as its file says"),
    Supported("XrayCLIP", "StanfordAIMI/XrayCLIP__vit-b-16__laion2b-s34b-b88k", "datacomp1b/ViT-B-16", "gelu", _CROP),
    Supported(
        "XraySigLIP", "StanfordAIMI/XraySigLIP__vit-l-16-siglip-384__webli", "siglip/ViT-L-16-384", "gelu_tanh", _SQUARE
    ),
    Supported(
        "CheXzero",
        "chexzero.pt",
        "openai/ViT-B-32",
        "quick_gelu",
        "longer side, black borders, bicubic",
        "file",
        f"--activation=quick_gelu --preprocess=chexzero {_FILE}",
    ),
    Supported("FLIP (faces)", "FLIP-dataset/FLIP-base-32", "openai/ViT-B-32", "quick_gelu", _CROP),
    Supported(
        "FaRL (faces)",
        "FaRL-Base-Patch16-LAIONFace20M-ep64.pth",
        "openai/ViT-B-16",
        "quick_gelu",
        _CROP,
        "file",
        f"--activation=quick_gelu {_FILE}",
    ),
    Supported(
        "RemoteCLIP", "RemoteCLIP-ViT-B-32.pt", "openai/ViT-B-32", "gelu", _CROP, "file", f"--activation=gelu {_FILE}"
    ),
)

REFUSED = (
    Refused(
        "SigLIP 2 NaFlex",
        "google/siglip2-base-patch16-naflex",
        "pictures of any aspect ratio in a varying number of patches",
        "the same model of a fixed resolution, such as google/siglip2-base-patch16-256",
        r"model_type=siglip2$|timm_model_name=naflex|name=.*naflex",
    ),
    Refused(
        "MetaCLIP 2",
        "facebook/metaclip-2-worldwide-huge-quickgelu",
        "the tokenizer of XLM-V, whose end of text is told in another way",
        "SigLIP 2 for many languages, facebook/metaclip-h14-fullcc2.5b for English",
        r"model_type=metaclip_2|vocab_size=901629|name=.*(metaclip-2|worldwide)",
    ),
    Refused(
        "CLIPA",
        "UCSC-VLAA/ViT-L-14-CLIPA-datacomp1B",
        "a mean over the patches in the place of CLS, and BERT's tokenizer",
        "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K, of the same data",
        r"vision_cfg\.pool_type=avg|name=.*clipa",
    ),
    Refused(
        "BiomedCLIP",
        "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
        "a text tower of BERT's kind",
        "google/medsiglip-448, or its embeddings in a file (--config.embeddings)",
        r"hf_model_name=.*BiomedNLP|name=.*biomedclip",
    ),
    Refused(
        "EVA-02 CLIP",
        "timm/eva02_base_patch16_clip_224.merged2b_s8b_b131k",
        "rotary positions and gated MLPs",
        "apple/DFN5B-CLIP-ViT-H-14",
        r"timm_model_name=eva|tensor=visual\..*rope|name=.*eva0?2",
    ),
    Refused(
        "PE-Core",
        "facebook/PE-Core-B16-224",
        "rotary positions",
        "google/siglip2-base-patch16-224",
        r"timm_model_name=vit_pe_core|name=.*pe-core",
    ),
    Refused(
        "TIPSv2",
        "google/tipsv2-b14",
        "two CLS tokens, registers and code of its own (auto_map), which is not run",
        "google/siglip2-base-patch16-224",
        r"model_type=tips|name=(.*[^a-z])?tipsv\d",
    ),
    Refused(
        "MobileCLIP",
        "apple/MobileCLIP-S1-OpenCLIP",
        "convolutions before, or in the place of, the transformer",
        "openai/clip-vit-base-patch32",
        r"timm_model_name=(fastvit|vit_base_mci)|tensor=image_encoder\.|name=.*mobileclip",
    ),
    Refused(
        "CoCa",
        "laion/CoCa-ViT-L-14-laion2B-s13B-b90k",
        "a pooling by many queries, and a text decoder",
        "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
        r"multimodal_cfg\.|tensor=text_decoder\.|name=(.*[^a-z])?coca([^a-z]|$)",
    ),
    Refused(
        "FLAIR",
        "xiaorui638/flair",
        "an embedding of a picture for each text, which cannot be computed once",
        "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K",
        r"name=(.*[^a-z])?flair([^a-z]|$)",
    ),
    Refused(
        "text towers of Hugging Face's",
        "laion/CLIP-ViT-H-14-frozen-xlm-roberta-large-laion5B-s13B-b90k",
        "text towers of other kinds (XLM-RoBERTa, NLLB, mT5)",
        "google/siglip2-base-patch16-224, of many languages",
        r"text_cfg\.hf_model_name=",
    ),
    Refused(
        "towers alone",
        "timm/vit_base_patch16_clip_224.openai, or what CLIPVisionModel saved",
        "the other tower",
        "the whole model's directory",
        r"^model_type=\w+_(vision|text)_model$|^pretrained_cfg\.",
    ),
)


def refused_family(source: str | Path, path: Path) -> Refused | None:
    """Returns the unsupported family of the model at `path`, requested as `source`; None if it is not in REFUSED."""
    found = list(_evidence(str(source), path))
    signed = (family for family in REFUSED if any(re.search(family.signs, line, re.IGNORECASE) for line in found))
    return next(signed, None)


def _evidence(source: str, path: Path) -> Iterator[str]:
    yield f"name={Path(source).name}"
    if path.is_file():
        try:
            for tensor, value in open_tensors(path).items():
                yield f"tensor={tensor}"
                if tensor.endswith("token_embedding.weight"):
                    yield f"vocab_size={value.shape[0]}"
        except UserError:
            return
    for name in ("config.json", "open_clip_config.json"):
        with contextlib.suppress(UserError):  # missing or damaged
            yield from _flat(read_object((path if path.is_dir() else path.parent) / name), "")


def _flat(fields: dict[str, Any], above: str) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}={value}"


_PAGE = """\
# Weights that are read
Made from the table in [ecor_jax/checkpoints/families.py](../ecor_jax/checkpoints/families.py), over which the tests
walk: each command is tried on random weights of the shape, two layers deep, and each family that is not read is refused
by name.
`models/l14` is OpenAI's ViT-L/14, converted as the first row says, for its tokenizer.

A family is a mapping of names onto towers of named options (`VisionConfig` and `TextConfig` in
[ecor_jax/clip/config.py](../ecor_jax/clip/config.py)): pooling, positions, mask, norms and biases. What a checkpoint
says of itself decides; the columns say what that is. Embeddings agree to 1e-5 in float32, on random weights of the real
shapes, with the code in the last column. What is written is bit for bit what was read; weights in half precision are
kept exactly, as float32. Pictures are scaled by PIL.

| family | command | activation | pictures | agrees with |
|---|---|---|---|---|
{families}

**SigLIP.** Texts are padded to the whole context and read at its last token, so a bank of texts encodes each of them
whole: no beginning is shared, nothing is cut off. SigLIP's texts are put in lower case, without punctuation; SigLIP 2's
in lower case, as it was trained, also where the files name a GemmaTokenizer, which keeps the case. Probabilities of
candidates are the softmax of similarities times the learnt scale, as CLIP's; the bias of the sigmoid is the same for
all candidates and cancels. Visual prompts are not pooled. OpenCLIP and timm 1.0 compute GELU by `erf` in the vision
towers of the first publication, and in text towers whose configuration does not say `tanh`; so it is done here.

## Weights that are not read
| family | such as | what is missing here | what is read instead |
|---|---|---|---|
{refused}
"""


def as_page() -> str:
    """Returns the text of docs/weights.md."""
    families = [f"| {f.name} | `{f.command}` | {f.activation} | {f.preprocessing} | {f.agrees} |" for f in SUPPORTED]
    refused = [f"| {f.name} | {f.source} | {f.missing} | {f.nearest} |" for f in REFUSED]
    return _PAGE.format(families="\n".join(families), refused="\n".join(refused))

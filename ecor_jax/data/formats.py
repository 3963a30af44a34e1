"""The table of all supported file formats: the source of docs/formats.md, and tested entry by entry."""

import dataclasses

from ecor_jax.data.files import IMAGE_SUFFIXES


@dataclasses.dataclass(frozen=True)
class Format:
    """A row of the table. recognised: how the format is detected. read: used content. ignored: unused content."""

    kind: str
    name: str
    recognised: str
    read: str
    ignored: str = ""


_SUFFIXES = " ".join(IMAGE_SUFFIXES)
_PIXELS = "its pixels, turned upright by the EXIF orientation"
_BESIDE = "metadata, colour profiles, alpha"

FORMATS = (
    Format("Pictures", "JPEG", "content", f"{_PIXELS}; CMYK too; of an MPO the first picture", _BESIDE),
    Format("Pictures", "PNG", "content", f"{_PIXELS}; 16 bits of grey from least to largest", f"{_BESIDE}, texts"),
    Format("Pictures", "BMP", "content", "its pixels"),
    Format("Pictures", "WebP", "content", f"{_PIXELS}; of an animation the first", _BESIDE),
    Format("Pictures", "GIF", "content", "the first picture", _BESIDE),
    Format("Pictures", "PPM, PGM, PBM", "content", "its pixels"),
    Format("Pictures", "TIFF", "content", f"{_PIXELS}; the first page", f"{_BESIDE}; raw files of cameras are refused"),
    Format("Pictures", "AVIF", "content", f"{_PIXELS}; of a sequence the first", _BESIDE),
    Format(
        "Pictures",
        "DICOM",
        "content: the mark DICM, or an element of group 2 or 8",
        "one frame: modality rescale, VOI table or window, MONOCHROME1 inverted; padding and shutters are black",
        "overlays, further frames (an error)",
    ),
    Format(
        "Pictures",
        "arrays, in Python",
        "NumPy's, JAX's, PyTorch's, and PIL's pictures",
        "uint8, or floats from 0 to 1 or to 255; channels last or first; grey, RGB or RGBA",
    ),
    Format(
        "Sets of pictures",
        "folder or zip of classes",
        f"folders class/picture, class/rationale/picture; files ending in {_SUFFIXES}, others by content",
        "train/ and test/ around them are splits; classes are the folders' names",
        "hidden files, other formats, texts: counted",
    ),
    Format("Sets of pictures", "label.txt", "a file of that name", "lines path<TAB>class or path<TAB>one|another"),
    Format("Sets of pictures", "RecordIO", ".rec with .idx", "MXNet's records; insightface's identities"),
    Format("Sets of pictures", "ArrayRecord", "dataset_info.json", "what ecor-jax prepare wrote"),
    Format("Sets of pictures", "TFDS", "dataset_info.json, tfds:NAME", "one image and one class label a record"),
    Format("Sets of pictures", "NIH ChestX-ray14", "a table with its columns", "labels, patients, views"),
    Format("Sets of pictures", "MIMIC-CXR-JPG", "a folder of its tables", "labels, patients, views, splits, reports"),
    Format("Pairs of faces", ".bin", "its suffix", "insightface's pickle: bytes or arrays, and answers of any numbers"),
    Format(
        "Pairs of faces", "pairs.txt", "the suffix .txt", "LFW's lists, the development sets' too; names with spaces"
    ),
    Format("Pairs of faces", "pairs.csv", "the suffix .csv, or a zip with one", "file_x, file_y, Decision (Yes or No)"),
    Format("Concepts", "JSON of classes", "content", "{class: [text, ...]}: DROR's rationales, DCLIP's, LaBo's"),
    Format("Concepts", "JSON of folders", "content", '{folder: {"name": class, "rationales": [text, ...]}}'),
    Format("Concepts", "JSON of groups", "content", '{"groups": {group: [text, ...]}}'),
    Format("Concepts", "CSV or TSV", "a header with a class and a descriptor column", "a row for each pair"),
    Format("Concepts", "a text a line", "any other text, or a JSON list", "Label-free CBM's lists; no classes"),
    Format(
        "Weights", "Hugging Face directory", "config.json", "CLIPModel in safetensors or torch's .bin, in shards too"
    ),
    Format("Weights", "OpenCLIP directory", "open_clip_config.json", "vision transformers", "ResNets: an error"),
    Format("Weights", "OpenAI's file", "content", "TorchScript, state dict or training checkpoint; .safetensors"),
)


def as_page() -> str:
    """Returns the text of docs/formats.md."""
    lines = [
        "# Files that are read",
        "Made from the table in [ecor_jax/data/formats.py](../ecor_jax/data/formats.py); the tests read an example of",
        "each. What is found and not used is counted, named and told in the log, in `results.json` and on the page:",
        "`found` = `used` + `skipped`, by reason. [SECURITY.md](../SECURITY.md) says what is promised about them.",
    ]
    for kind in dict.fromkeys(entry.kind for entry in FORMATS):
        lines += ["", f"## {kind}", "| format | recognised by | what is read | what is not |", "|---|---|---|---|"]
        own = [entry for entry in FORMATS if entry.kind == kind]
        lines += [f"| {e.name} | {e.recognised} | {e.read} | {e.ignored} |".replace("one|", r"one\|") for e in own]
    return "\n".join(lines) + "\n"

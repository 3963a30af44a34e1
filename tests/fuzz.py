"""Every reader of foreign bytes, on mutated files: each must be read, or refused with a UserError.

    python tests/fuzz.py READER|all [--seconds=600] [--seed=0] [--keep=FOLDER] 2>/dev/null

READER is one of READERS below. Faults are all other exceptions, MemoryErrors even if caught, messages that cannot be
printed or do not name the file, and more than 10 seconds. What decoders say of files goes to stderr. Linux only:
memory is read from /proc.
"""

import argparse
import contextlib
import gzip
import io
import itertools
import json
import pickle
import random
import re
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features
from pydicom.data import get_testdata_file
from safetensors.numpy import save
from transformers.convert_slow_tokenizer import bytes_to_unicode, import_protobuf

from ecor_jax.checkpoints import huggingface, openclip
from ecor_jax.checkpoints.preprocessor import preprocessor_fields, read_preprocess
from ecor_jax.checkpoints.sentencepiece import sentencepiece_tokenizer
from ecor_jax.checkpoints.tensor_files import open_safetensors
from ecor_jax.checkpoints.tokenizer_files import openai_tokenizer
from ecor_jax.checkpoints.torch_zip import open_torch
from ecor_jax.clip.config import preset
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.data.concept_sets import read_concepts
from ecor_jax.data.decode import decode_image
from ecor_jax.data.files import open_files
from ecor_jax.data.pickled_pairs import read_bin
from ecor_jax.data.recordio import RecordIO
from ecor_jax.data.tables import read_table
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import is_utf8

MEMORY, SECONDS = 3 << 30, 10.0
"""Address space beyond that of the start, and time, that reading a file may take."""


def pictures() -> list[bytes]:
    grey = Image.linear_gradient("L").resize((12, 9))
    deep = Image.fromarray(np.asarray(grey, np.uint16) * 200)
    bits, colour, ink, palette = (grey.convert(mode) for mode in ("1", "RGB", "CMYK", "P"))
    palette.info["transparency"] = 3
    turned = Image.Exif()
    turned[0x0112] = 6
    kinds = [
        *(("PNG", image, {}) for image in (colour, deep, palette)),
        *(("JPEG", image, {"progressive": True}) for image in (colour, ink)),
        *(("PPM", image, {}) for image in (grey, bits, deep)),
        *(("TIFF", colour, {"compression": name}) for name in ("raw", "tiff_lzw", "packbits", "jpeg")),
        *(("TIFF", deep, {}), ("TIFF", bits, {"compression": "group4"})),
        *(("WEBP", colour, {"lossless": True}), ("WEBP", colour, {}), ("GIF", palette, {}), ("BMP", palette, {})),
        *((kind, colour, {"exif": turned}) for kind in ("JPEG", "PNG", "WEBP")),
    ]
    if features.check("avif"):
        kinds.append(("AVIF", colour, {"exif": turned}))
    files = [io.BytesIO() for _ in kinds]
    for file, (kind, image, options) in zip(files, kinds, strict=True):
        image.save(file, kind, **options)
    return [file.getvalue() for file in files]


def with_checksums(content: bytes) -> bytes:
    """The chunks of a PNG have theirs anew: with wrong ones, none is looked into."""
    start, whole = 8, content[:8]
    while content.startswith(b"\x89PNG") and len(content) - start >= 12:
        end = start + 8 + int.from_bytes(content[start : start + 4], "big")
        whole += content[start:end] + struct.pack(">I", zlib.crc32(content[start + 4 : end]))
        start = end + 4
    return whole + content[start:]


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def torch_archive(description: bytes) -> bytes:
    return zipped({"x/data.pkl": description, "x/byteorder": b"little", "x/data/0": bytes(24)})


def records() -> list[bytes]:
    """An index, an empty line, and the records: images 1 to 4, of the identities 5 and 6, that record 0 announces."""
    lines, content = [], b""
    for key, pair in enumerate([(5, 7), (3, 1), (3, 1), (8, 1), (8, 1), (1, 3), (3, 5)]):
        data = struct.pack("<IfQQ2f", 2, 0, key, 0, *pair) + (b"picture!" if 1 <= key <= 4 else b"")
        lines.append(b"%d\t%d\n" % (key, len(content)))
        content += struct.pack("<II", 0xCED7230A, len(data)) + data
    return [b"".join(index) + b"\n" + content for index in (lines, lines[1:5])]


_TENSOR = (
    b"}X\1\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000X\3\0\0\0cpu"
    b"K\6tQK\0K\2K\3\x86K\3K\1\x86\x89ccollections\nOrderedDict\n)RtRs"
)
TORCHES = [b"\x80\2" + _TENSOR + b".", b"\x80\2c__torch__\nM\n)\x81" + _TENSOR + b"b."]
PLAIN = {"a.png": b"first " * 9, "b/c.jpg": b"second"}
ZIPS = [zipped(PLAIN, method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
ARRAYS = [np.frombuffer(image, np.uint8) for image in (b"first", b"second")]
PAIRS = [([b"1st", bytearray(b"2nd")], [True]), (ARRAYS, [np.bool_(True)]), (tuple(ARRAYS), np.array([False]))]
BINS = [pickle.dumps(pair, protocol) for pair in PAIRS for protocol in (0, 2, 4, 5)]
SAFETENSORS = save({"a": np.arange(6, dtype=np.float32), "b": np.ones((2, 2), np.float16)}, {"format": "pt"})
HEADER, TENSORS = SAFETENSORS[8:-32], SAFETENSORS[-32:]
SYMBOLS = bytes_to_unicode().values()
MERGES = "\n".join(["heading", *(f"{first} {second}" for first in SYMBOLS for second in SYMBOLS)][:48895]).encode()
DICOM_FILES = ("MR_small.dcm", "MR_small_RLE.dcm", "SC_rgb_small_odd.dcm", "SC_rgb_small_odd_jpeg.dcm")
DICOMS = [Path(get_testdata_file(name, download=False)).read_bytes() for name in DICOM_FILES]
DICOMS.append(DICOMS[0][144 + int.from_bytes(DICOMS[0][140:144], "little") :])  # from group 8 on, as old ones are
CONCEPTS = [
    b"class,descriptor\ncat,fur\ndog,a tail\n",
    b"n\tclass\tconcept\n1\tcat\tfur\n",
    b"fur\na tail\n",
    b'["fur"]',
]
TABLE = b'a,b,c\r\n1,"x, ""y""",\r\n2,3.5,"two\nlines"\r\n'
RATIONALES = b'{"cat": ["tail", {"whiskers": ["long", "white"]}], "n01": {"name": "dog", "rationales": ["a nose"]}}'
FIELDS = [huggingface.config_fields(preset(name), None) for name in ("tiny/16-8", "tiny/siglip-16-8")]
CONFIGS = [json.dumps(fields).encode() for fields in FIELDS]
RESIZING = [preprocessor_fields(Preprocess(224, resize=way)) for way in ("shortest", "squash")]
RESIZED = [json.dumps(fields).encode() for fields in RESIZING]
OPENCLIP = b"""{"model_cfg": {
  "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32, "mlp_ratio": 4.0},
  "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12},
  "embed_dim": 512, "quick_gelu": true},
 "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "size": 224, "resize_mode": "shortest"}}"""


SIGLIP = b"""{"model_cfg": {"embed_dim": 768, "init_logit_bias": -10, "custom_text": true,
  "vision_cfg": {"image_size": 224, "timm_model_name": "vit_base_patch16_siglip_224", "timm_pool": "map"},
  "text_cfg": {"context_length": 64, "vocab_size": 32000, "tokenizer_kwargs": {"clean": "canonicalize"}, "width": 768,
   "heads": 12, "layers": 12, "no_causal_mask": true, "proj_bias": true, "pool_type": "last",
   "norm_kwargs": {"eps": 1e-6}}},
 "preprocess_cfg": {"interpolation": "bicubic", "resize_mode": "squash"}}"""


def sentencepiece() -> bytes:
    """A model of a few pieces, as SentencePiece writes them."""
    protobuf: Any = import_protobuf()
    model = protobuf.ModelProto()
    kinds = {"<pad>": 3, "</s>": 3, "<unk>": 2}
    for number, piece in enumerate([*kinds, "\u2581", "a", "c", "t", "\u2581a", "cat"]):
        model.pieces.add(piece=piece, score=-float(number), type=kinds.get(piece, 1))
    model.trainer_spec.model_type, model.trainer_spec.unk_id, model.trainer_spec.eos_id = 1, 2, 1
    model.normalizer_spec.add_dummy_prefix = True
    return model.SerializeToString()


def read_zip(path: Path) -> None:
    files = open_files(path)
    list(map(files.read, files.members))


def read_records(path: Path) -> None:
    index, _, data = path.read_bytes().partition(b"\n\n")
    path.with_suffix(".idx").write_bytes(index)
    path.with_suffix(".rec").write_bytes(data)
    list(RecordIO(path.with_suffix(".rec")))


def read_picture(path: Path) -> None:
    Preprocess(32)(decode_image(path.read_bytes(), path.name))


READERS = {
    "bin": (BINS, "x.bin", read_bin),
    "torch": (TORCHES, "x.pt", lambda path: [one.read() for one in open_torch(path).values()]),
    "safetensors": ([HEADER], "x.safetensors", lambda path: [one.read() for one in open_safetensors(path).values()]),
    "recordio": (records(), "x", read_records),
    "zip": (ZIPS, "x.zip", read_zip),
    "pictures": (pictures(), "picture", read_picture),
    "dicom": (DICOMS, "x.dcm", read_picture),
    "rationales": ([RATIONALES], "x.json", Vocabulary.from_file),
    "concepts": (CONCEPTS, "x.csv", read_concepts),
    "csv": ([TABLE], "x.csv", lambda path: list(read_table(path, ["a"]))),
    "csv.gz": ([TABLE], "x.csv.gz", lambda path: list(read_table(path, ["a"]))),
    "merges": ([MERGES], "x.txt.gz", lambda path: openai_tokenizer(path, 77)),
    "sentencepiece": ([sentencepiece()], "x.model", lambda path: sentencepiece_tokenizer(path, 64)("a cat")),
    "config": (CONFIGS, "config.json", huggingface.read_config),
    "preprocessor": (RESIZED, "preprocessor_config.json", lambda path: read_preprocess(path.parent)),
    "openclip": ([OPENCLIP, SIGLIP], openclip.CONFIG, openclip.read),
}
"""Good contents, the name of a file, and what reads it. OpenCLIP's takes the file for that of the weights, too."""
PACKED = {
    "torch": torch_archive,
    "safetensors": lambda header: struct.pack("<Q", len(header)) + header + TENSORS,
    "pictures": with_checksums,
    "csv.gz": gzip.compress,
    "merges": gzip.compress,
}
"""What makes files of contents, where they are not the same: mutations come before that, or after."""

NUMBERS = [0, 1, -1, 2, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63]
WORDS = [
    *(b"1e999", b"-1e999", b"NaN", b"1e308", b"1e-320", b"0.5", b"null", b"true", b"[]", b"{}", b'""', b"9" * 6000),
    *(rb'"\ud800"', rb'"\u0000"', rb'"\u001b[2J"', b"[" * 5000 + b"]" * 5000, b'{"a":' * 5000 + b"1" + b"}" * 5000),
    *(str(number).encode() for number in NUMBERS),
]
TOKEN = re.compile(rb'"[^"\n]*"|[-+.\w]+')


def mutated(content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The content with a few ranges replaced: of texts mostly words, of others bytes."""
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        tokens = list(itertools.islice(TOKEN.finditer(content), 200)) if content.isascii() else []
        if tokens and rng.random() < 0.6:
            start, stop = rng.choice(tokens).span()
            new = rng.choice((*WORDS, *(token.group() for token in tokens)))
        else:
            length = rng.choice((1, 2, 4, 8, rng.randrange(1, 100)))
            # The first bytes of most formats say how the others are read.
            start = rng.randrange(min(len(content), rng.choice((64, 1 << 20))) or 1)
            stop = start + rng.choice((0, length, length))
            piece, other, order = content[start : start + length], rng.choice(others), rng.choice(("little", "big"))
            begin = rng.randrange(len(other) or 1)
            number = rng.choice(NUMBERS) % (1 << 8 * length)
            flipped = int.from_bytes(piece, order) ^ 1 << rng.randrange(8 * length)
            pieces = (b"", piece * rng.choice((2, 50)), other[begin : begin + length], rng.randbytes(length))
            new = rng.choice((*pieces, number.to_bytes(length, order), flipped.to_bytes(length, order)))
        content = content[:start] + new + content[stop:]
    return content[: 1 << 20]


def fault(read, path: Path) -> BaseException | None:
    """What went wrong; None if the file was read or refused as it should be."""
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("too long"))  # no reader catches that
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        read(path)
    except UserError as error:
        cause: BaseException | None = error
        while cause and not isinstance(cause, MemoryError):
            cause = cause.__cause__ or cause.__context__
        names_it = path.name in str(error) or str(path.parent) in str(error)
        return cause or (None if is_utf8(str(error)) and names_it else error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also a panic of a library in Rust
        return error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def fuzz(name: str, seconds: float, seed: int, keep: Path, most: float = float("inf")) -> tuple[int, Counter[str]]:
    """How many mutated files were read, and how often each fault occurred; `keep` gets the first file of each."""
    (contents, file_name, read), pack = READERS[name], PACKED.get(name, bytes)
    rng, executions, faults = random.Random(seed), 0, Counter[str]()
    start = told = time.monotonic()
    # If a file ends the process, it stays in this folder.
    with tempfile.TemporaryDirectory(prefix=f"fuzz_{name}_") as folder, contextlib.ExitStack() as stack:
        limits, pages = resource.getrlimit(resource.RLIMIT_AS), Path("/proc/self/statm").read_text().split()[0]
        stack.callback(resource.setrlimit, resource.RLIMIT_AS, limits)
        resource.setrlimit(resource.RLIMIT_AS, (int(pages) * resource.getpagesize() + MEMORY, limits[1]))
        path = Path(folder) / file_name
        while (now := time.monotonic()) - start < seconds and executions < most:
            content = rng.choice(contents)
            inner = rng.random() < 0.7
            content = pack(mutated(content, contents, rng)) if inner else mutated(pack(content), contents, rng)
            path.write_bytes(content)
            executions += 1
            if error := fault(read, path):
                place = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} at {place.filename}:{place.lineno}"
                faults[kind] += 1
                if faults[kind] == 1:
                    print(f"{name}.{len(faults)}: {kind}: {str(error)[:200]!r}", flush=True)
                    (keep / f"{name}.{len(faults)}").write_bytes(content)
            if now - told > 10:
                told = now
                print(f"{name}: {executions} files in {now - start:.0f} s, {faults.total()} faults", flush=True)
    return executions, faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=[*READERS, "all"], metavar="READER")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("/tmp/ecor_faults"))
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    for name in READERS if options.reader == "all" else [options.reader]:
        executions, faults = fuzz(name, options.seconds, options.seed, options.keep)
        print(f"{name}: {executions} files, {dict(faults) or 'no fault'}", flush=True)


if __name__ == "__main__":
    main()

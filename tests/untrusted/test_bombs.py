"""Small files that ask for much: memory, time or Python's stack. Each must be refused in one line that names it.

`python tests/untrusted/test_bombs.py [WORD ...]` prints what each file costs whose name has one of the words.

Every file is read in a process of its own, forked from one that has the readers imported. Linux only: memory is read
from /proc. Files that expand without end are up to 3 GiB of one repeated byte.
"""

import bz2
import dataclasses
import gzip
import json
import lzma
import multiprocessing
import os
import pickle
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from safetensors.numpy import save_file

from ecor_jax.causal import config as causal
from ecor_jax.checkpoints import bottleneck_dir, huggingface, openclip, tokenizer_files, tuned
from ecor_jax.checkpoints.preprocessor import preprocessor_fields, read_preprocess
from ecor_jax.checkpoints.tensor_files import open_safetensors, open_tensors
from ecor_jax.checkpoints.torch_zip import open_torch
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.data.array_records import splits_of_array_records
from ecor_jax.data.captions import ListedCaptions
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.encode import decode_image
from ecor_jax.data.files import open_files
from ecor_jax.data.pickled_pairs import read_bin
from ecor_jax.data.recordio import RecordIO
from ecor_jax.data.tables import read_table
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.dual_encoder import FileEncoder
from ecor_jax.errors import UserError
from ecor_jax.reports.language_model import _answers_file
from ecor_jax.reports.statements_file import read_statements
from ecor_jax.runs.explain import read_pictures
from ecor_jax.training.metrics_log import read_metrics
from ecor_jax.training.workdir import claimed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")

MEMORY, SECONDS = 600, 10
"""MiB and seconds that refusing a file may take."""
ROOM = 2 << 10
"""MiB of address space a process is given beyond what it has: a bomb ends the process, not the machine."""
PIECE = 16 << 20

Attempt = tuple[Callable[[], object], tuple[str, ...]]
"""What reads a file, and words that its error must have: the file's name, and where it matters the reason."""
BOMBS: dict[str, Callable[[Path], Attempt]] = {}
"""By name, functions that write the file into a folder."""


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# Pictures.


def png(width: int, height: int, mode: str = "RGB") -> bytes:
    file = BytesIO()
    Image.new(mode, (width, height)).save(file, "PNG")
    return file.getvalue()


def claiming(content: bytes, width: int, height: int) -> bytes:
    """A PNG whose header says another size."""
    header = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def picture(content: bytes, name: str = "bomb.png") -> Attempt:
    return lambda: Preprocess(224)(decode_image(content, name)), (name,)


def jpeg_of_scans(kind: str = "JPEG", **options: Any) -> bytes:
    """A large progressive JPEG whose last scan, of a few bytes, is given 2,000 times: each goes over all of it."""
    file = BytesIO()
    Image.new("L", (9_400, 9_400)).save(file, kind, progressive=True, **options)
    content = file.getvalue()
    end = content.index(b"\xff\xd9")
    start = content.rindex(b"\xff\xda", 0, end)
    return content[:start] + content[start:end] * 2_000 + content[end:]


def dicom_of_scans() -> bytes:
    image, file = Dataset(), BytesIO()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = uid.DigitalXRayImageStorageForPresentation, "1.2.3"
    image.set_pixel_data(np.zeros((8, 8), np.uint8), "MONOCHROME2", 8, generate_instance_uid=False)
    image.Rows = image.Columns = 9_400
    image.PixelData = encapsulate([jpeg_of_scans()])
    image.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    image.save_as(file, enforce_file_format=True)
    return file.getvalue()


def deflated(total: int, byte: bytes = b"\0") -> bytes:
    """A raw DEFLATE stream of one byte repeated, about a thousandth in size."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # A full flush makes pieces that stand for themselves, so one can be repeated.
    piece = compressor.compress(byte * PIECE) + compressor.flush(zlib.Z_FULL_FLUSH)
    return piece * (total // PIECE) + compressor.flush()


def checksum(total: int, byte: bytes = b"\0") -> int:
    value, piece = 0, byte * PIECE
    for _ in range(total // PIECE):
        value = zlib.crc32(piece, value)
    return value


def deflated_dicom(_: Path) -> Attempt:
    syntax = b"1.2.840.10008.1.2.1.99"
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
    return picture(bytes(128) + b"DICM" + length + meta + deflated(3 << 30), "bomb.dcm")


BOMBS |= {
    "PNG of 20000x1": lambda _: picture(png(20_000, 1)),
    "PNG of 60000x1": lambda _: picture(png(60_000, 1)),
    "PNG of 1x60000": lambda _: picture(png(1, 60_000)),
    "PNG that claims 60000x60000": lambda _: picture(claiming(png(6, 6), 60_000, 60_000)),
    "JPEG of 2,000 scans": lambda _: picture(jpeg_of_scans(), "bomb.jpg"),
    "MPO of 2,000 scans": lambda _: picture(
        jpeg_of_scans("MPO", save_all=True, append_images=[Image.new("L", (8, 8))]), "bomb.jpg"
    ),
    "DICOM of 2,000 scans": lambda _: picture(dicom_of_scans(), "bomb.dcm"),
    "deflated DICOM of 3 GiB": deflated_dicom,
}


# Archives.


def zipped(path: Path, name: str, content: bytes, **fields: int) -> Path:
    """A zip of one stored member; `fields` of it are what its directory says instead."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
        for field, value in fields.items():
            setattr(archive.infolist()[0], field, value)
    return path


def member_of(path: Path) -> Attempt:
    return lambda: open_files(path).read("a.png"), (path.name,)


def zip_bomb(folder: Path, method: int, stream: bytes, size: int) -> Attempt:
    fields = {"compress_type": method, "file_size": size, "CRC": checksum(size)}
    return member_of(zipped(folder / "x.zip", "a.png", stream, **fields))


def lzma_zip(folder: Path) -> Attempt:
    # Python's own writer has a preset that takes four times as long.
    filters = [{"id": lzma.FILTER_LZMA1, "preset": 0, "dict_size": 8 << 20}]
    stream = repeated(lzma.LZMACompressor(lzma.FORMAT_RAW, filters=filters), 384 << 20)
    return zip_bomb(folder, zipfile.ZIP_LZMA, b"\x09\x04\x05\0]\0\0\x80\0" + stream, 384 << 20)


def repeated(compressor: Any, total: int) -> bytes:
    return b"".join(compressor.compress(bytes(PIECE)) for _ in range(total // PIECE)) + compressor.flush()


def lying_zip(folder: Path) -> Attempt:
    path = zipped(folder / "x.zip", "a.png", deflated(1 << 30), compress_type=zipfile.ZIP_DEFLATED, file_size=1000)
    return member_of(path)


def zip_with_a_name_twice(folder: Path) -> Attempt:
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        for number in range(100_000):
            archive.writestr(f"{number}.png", b"")
        archive.infolist()[-2].filename = archive.infolist()[-1].filename
    return lambda: open_files(folder / "x.zip"), ("x.zip", "twice")


BOMBS |= {
    "zip that is deflated, of 1 GiB": lambda f: zip_bomb(f, zipfile.ZIP_DEFLATED, deflated(1 << 30), 1 << 30),
    "zip that is deflated, of 1 GiB, and says 1000 bytes": lying_zip,
    "zip in LZMA, of 384 MiB": lzma_zip,
    "zip in BZIP2, of 384 MiB": lambda f: zip_bomb(
        f, zipfile.ZIP_BZIP2, repeated(bz2.BZ2Compressor(1), 384 << 20), 384 << 20
    ),
    "zip of 100,000 names, one of them twice": zip_with_a_name_twice,
}


# Streams of gzip.


def gzipped(total: int, byte: bytes) -> bytes:
    tail = struct.pack("<II", checksum(total, byte), total % (1 << 32))
    return b"\x1f\x8b\x08" + bytes(7) + deflated(total, byte) + tail


def merges(folder: Path, content: bytes) -> Attempt:
    path = write(folder / "merges.txt.gz", content)
    return lambda: tokenizer_files.openai_tokenizer(path, 77), (path.name,)


def table(path: Path, content: bytes) -> Attempt:
    write(path, content)
    return lambda: list(read_table(path, ["a"])), (path.name,)


BOMBS |= {
    "merges.gz of 2 GiB": lambda folder: merges(folder, gzipped(2 << 30, b"a")),
    "merges.gz of 200,000 empty members": lambda folder: merges(folder, gzip.compress(b"") * 200_000),
    "csv.gz of 2 GiB in one line": lambda folder: table(folder / "x.csv.gz", gzipped(2 << 30, b"a")),
    "csv.gz of 2 GiB of empty lines": lambda folder: table(folder / "x.csv.gz", gzipped(2 << 30, b"\n")),
    "csv of 200,000 columns": lambda folder: table(
        folder / "x.csv", ",".join(["a", "a", *map(str, range(200_000))]).encode()
    ),
}


# Pickles.

ENDLESS_MEMO = b"\x80\x02}r\0\0\0\x10."
LAUGHS = b")q\0" + 100 * b"0h\0h\0\x86q\0"
"""A tuple of twice a tuple of twice a tuple, a hundred deep: nothing to hold, endless to look through."""
HUGE = pickle.dumps(1 << 20_000, 2)[2:-1]
"""A whole number of 6,021 digits: Python refuses to write it out."""


def array(shape: bytes) -> bytes:
    """A NumPy array of a shape that is itself a pickle."""
    dtype = b"cnumpy\ndtype\nU\x02u1\x85R"
    return b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01" + shape + dtype + b"\x89U\x01atb"


def pickled(folder: Path, content: bytes) -> Attempt:
    path = write(folder / "x.bin", content)
    return lambda: read_bin(path), (path.name,)


TENSOR = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000X\3\0\0\0cpuK\1tQK\0"
"""A storage of one number and the offset 0, the first arguments of a tensor."""


def torch_archive(folder: Path, content: bytes, **fields: int) -> Attempt:
    path = zipped(folder / "x.pt", "archive/data.pkl", content, **fields)
    return lambda: [tensor.read() for tensor in open_torch(path).values()], (path.name,)


def torch_of_none(folder: Path) -> Attempt:
    """As many times None as make 1 GiB; on the stack of an interpreter each takes eight bytes."""
    size = 1 << 30
    fields = {"compress_type": zipfile.ZIP_DEFLATED, "file_size": size, "CRC": checksum(size, b"N")}
    return torch_archive(folder, deflated(size, b"N"), **fields)


def torch_of_long_names(folder: Path) -> Attempt:
    """Dicts within dicts, all under one name of 100 kB: the dotted name of the innermost has 2 GB."""
    name = b"X" + struct.pack("<I", 100_000) + b"n" * 100_000 + b"q\0"
    return torch_archive(folder, b"\x80\x02}" + name + 20_000 * b"}h\0" + b"N" + 20_000 * b"s" + b"s.")


def torch_of_many_sizes(folder: Path) -> Attempt:
    """Tensors that share one list of a million sizes."""
    sizes, strides = b"](" + b"K\x02" * 1_000_000 + b"eq\1", b"](" + b"K\0" * 1_000_000 + b"eq\2"
    tensor = b"h\0(" + TENSOR + b"h\1h\2tR"
    lists = b"ctorch._utils\n_rebuild_tensor_v2\nq\0" + sizes + strides
    tensors = b"".join(b"X\4\0\0\0%04d" % number + tensor for number in range(1_000))
    return torch_archive(folder, b"\x80\x02" + lists + b"}(" + tensors + b"u.")


BOMBS |= {
    "pickle with a memo of 2**28": lambda folder: pickled(folder, ENDLESS_MEMO),
    "pickle with a bytearray of 1 TiB": lambda folder: pickled(folder, b"\x80\x05\x96" + struct.pack("<Q", 1 << 40)),
    "pickle with laughs as a key": lambda folder: pickled(folder, b"\x80\x02}" + LAUGHS + b"Ns."),
    "pickle with laughs as a shape": lambda folder: pickled(folder, b"\x80\x02" + array(LAUGHS) + b"]\x86."),
    "pickle with laughs as a dtype": lambda folder: pickled(folder, b"\x80\x02cnumpy\ndtype\n" + LAUGHS + b"\x85R."),
    "pickle with laughs as an encoding": lambda folder: pickled(
        folder, b"\x80\x02c_codecs\nencode\nX\x01\0\0\0a" + LAUGHS + b"\x86R."
    ),
    "pickle with laughs as an image": lambda folder: pickled(folder, b"\x80\x02](" + LAUGHS + b"Ne]\x88a\x86."),
    "pickle with an answer of 6,021 digits": lambda folder: pickled(
        folder, b"\x80\x02](U\x01aU\x01be]" + HUGE + b"a\x86."
    ),
    "pickle with a shape of 6,021 digits": lambda folder: pickled(folder, b"\x80\x02" + array(HUGE) + b"]\x86."),
    "pickle that is a number of 6,021 digits": lambda folder: pickled(folder, b"\x80\x02" + HUGE + b"."),
    "torch with a memo of 2**28": lambda folder: torch_archive(folder, ENDLESS_MEMO),
    "torch of 1 GiB of None, deflated": torch_of_none,
    "torch of dicts under long names": torch_of_long_names,
    "torch of a million sizes": torch_of_many_sizes,
    "torch with laughs as a storage": lambda folder: torch_archive(folder, b"\x80\x02}" + LAUGHS + b"Q."),
}


# JSON, by what reads it: the file's name, its content around a value, the reader.

_CLIP = {"hidden_act": "gelu"}
_CAUSAL = {
    **{"model_type": "llama", "vocab_size": 9, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1},
    **{"num_attention_heads": 2, "max_position_embeddings": 8, "rms_norm_eps": 1e-5},
}
_OPENCLIP = {"model_cfg": {"embed_dim": 8, "vision_cfg": {}, "text_cfg": {}}}


def around(fields: Any) -> str:
    """Good fields, and a further one in which @ stands for a value."""
    return json.dumps(fields)[:-1] + ', "more": @}'


def read_openclip(path: Path) -> object:
    write(path.parent / openclip.WEIGHTS[0], b"")
    return openclip.read(path.parent)


def read_tuned(path: Path) -> object:
    # The weights beside it are none of its business.
    tuned.load_clip = lambda *_, **__: SimpleNamespace(path=path.parent, digest="")  # type: ignore
    return tuned.load_tuned(path.parent)


def read_bottleneck(path: Path) -> object:
    write(path.parent / bottleneck_dir.HEAD, b"")
    return bottleneck_dir.load_bottleneck(SimpleNamespace(path=path.parent, digest=""))  # type: ignore


def read_tokenizer(path: Path) -> object:
    write(path.parent / "tokenizer.json", "{}")
    return tokenizer_files.read_tokenizer(path.parent, None)  # type: ignore


def read_embeddings(path: Path) -> object:
    names = {"images": path.read_text(), "texts": '["a"]'}
    save_file({name: np.ones((1, 2), np.float32) for name in names}, path, names)
    return FileEncoder(path)


def read_answers(path: Path) -> None:
    with _answers_file(path):
        pass


def read_workdir(path: Path) -> None:
    with claimed(path.parent, ConfigDict({"steps": 1})):
        pass


OTHERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "rationales.json": ('{"cat": ["a tail"], "dog": [@]}', Vocabulary.from_json),
    "descriptors.json": (around({"groups": {"hair": ["long", "short"]}}), Descriptors.from_json),
    "captions.json": ('{"cat": ["a cat"], "dog": [@]}', ListedCaptions),
    "statements.jsonl": (around({"name": "a", "statements": []}), read_statements),
    "categories.json": (around({"test": {}}), lambda path: splits_of_array_records(path.parent)),
    "embeddings.safetensors": ('["a", @]', read_embeddings),
    "config.json": (
        around({"model_type": "clip", "text_config": _CLIP, "vision_config": _CLIP}),
        huggingface.read_config,
    ),
    "causal/config.json": (around(_CAUSAL), causal.read_config),
    "generation_config.json": (around({"eos_token_id": 1}), lambda path: causal.read_end_tokens(path.parent)),
    "preprocessor_config.json": (
        around(preprocessor_fields(Preprocess(224))),
        lambda path: read_preprocess(path.parent),
    ),
    "open_clip_config.json": (around(_OPENCLIP), read_openclip),
    "model.safetensors.index.json": (around({"weight_map": {}}), open_tensors),
    "tokenizer_config.json": (around({"a": 1}), read_tokenizer),
    "ecor.json": (around({"format": 0}), read_tuned),
    "bottleneck/ecor.json": (around({"format": 0}), read_bottleneck),
}
OWN: dict[str, tuple[str, Callable[[Path], object]]] = {
    "metrics.jsonl": (around({"run": "a", "step": 1}) + "\n", read_metrics),
    "answers.jsonl": (around({"prompt": "a", "text": "b", "ended": True}) + "\n", read_answers),
    "workdir/config.json": (around({"steps": 1}), read_workdir),
}
"""Written by runs, and read again by the next: their errors need not give the reason."""
VALUES = {
    "lists 10,000 deep": ("[" * 10_000 + "]" * 10_000, "deep"),
    "lists 100,000 deep": ("[" * 100_000 + "]" * 100_000, "deep"),
    "objects 900 deep": ('{"a": ' * 900 + "[]" + "}" * 900, "deep"),
    "objects 100,000 deep": ('{"a": ' * 100_000 + "1" + "}" * 100_000, "deep"),
    "a number of 6,000 digits": ("9" * 6_000, "digits"),
    "half a character": (r'"\ud800"', "surrogate"),
    "a key twice": ('{"k": 1, "k": 2}', "twice"),
    "NaN": ("NaN", "NaN"),
    "1e999": ("1e999", "1e999"),
}


def json_bomb(name: str, content: str, read: Callable[[Path], object], value: str, *reasons: str) -> Any:
    def make(folder: Path) -> Attempt:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        write(path, content.replace("@", value))
        return lambda: read(path), (path.name, *reasons)

    return make


for _name, (_content, _read) in {**OTHERS, **OWN}.items():
    for _kind, (_value, _reason) in VALUES.items():
        # DROR's own files give keys twice, and no part of what they give is lost.
        _reasons = () if _name in OWN or (_name == "rationales.json" and _reason == "twice") else (_reason,)
        BOMBS[f"{_name} with {_kind}"] = json_bomb(_name, _content, _read, _value, *_reasons)


def model(folder: Path, **vision: int) -> Attempt:
    fields = {"model_type": "clip", "text_config": _CLIP, "vision_config": _CLIP | vision}
    write(folder / "config.json", json.dumps(fields))
    save_file({"logit_scale": np.ones((), np.float32)}, folder / "model.safetensors")
    return lambda: huggingface.read(folder), ("config.json", next(iter(vision)))


def scaled(folder: Path) -> Attempt:
    fields = preprocessor_fields(Preprocess(224)) | {"size": {"shortest_edge": 1 << 20}}
    path = write(folder / "preprocessor_config.json", json.dumps(fields))

    def read() -> object:
        preprocess = read_preprocess(folder)
        return preprocess and preprocess(Image.new("RGB", (8, 8)))

    return read, (path.name,)


def many_classes(folder: Path) -> Attempt:
    path = write(folder / "x.json", json.dumps({f"class {number}": [f"part {number}"] for number in range(100_000)}))
    return lambda: Vocabulary.from_json(path), (path.name,)


MANY_KEYS = "{" + "".join(f'"{number}": 1, ' for number in range(200_000)) + '"199999": 1}'
for _name, _kind in {"config.json": "200,000 keys, one of them twice", "rationales.json": "200,000 mistakes"}.items():
    BOMBS[f"{_name} with {_kind}"] = json_bomb(_name, *OTHERS[_name], MANY_KEYS)
BOMBS |= {
    "config.json of 1,000,000 layers": lambda folder: model(folder, num_hidden_layers=1_000_000),
    "config.json of 1,000,000,000 wide": lambda folder: model(folder, hidden_size=10**9),
    "config.json of 1,000,000,000 pixels": lambda folder: model(folder, image_size=10**9, patch_size=1),
    "preprocessor_config.json that scales to 2**20": scaled,
    "rationales of 100,000 classes": many_classes,
}


# What is no regular file, or has no end.


def links_to_itself(folder: Path) -> Attempt:
    for name in ("a", "b"):
        (folder / name).symlink_to(folder)
    return lambda: open_files(folder), (folder.name,)


def links_to_one_another(folder: Path) -> Attempt:
    names = [str(number) for number in range(12)]
    for name in names:
        (folder / name).mkdir()
        for other in names:
            if other != name:
                (folder / name / f"to {other}").symlink_to(folder / other)
    return lambda: open_files(folder), (folder.name,)


def recordio(folder: Path) -> Attempt:
    """Two records, the first of which announces the keys of 16,777,214 images."""
    records = [struct.pack("<IIIfQQ2f", 0xCED7230A, 32, 2, 0, 0, 0, *pair) for pair in ((2**24 - 1, 2**24), (3, 1))]
    write(folder / "x.idx", f"0\t0\n1\t{len(records[0])}\n")
    path = write(folder / "x.rec", b"".join(records))
    return lambda: RecordIO(path), (path.name,)


SPECIAL: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
}
FILES: dict[str, Callable[[Path], object]] = {
    "a.png": lambda path: open_files(path.parent).read(path.name),
    "b.png": lambda path: read_pictures([path]),
    "c.png": lambda path: read_pictures([path.parent]),
    "a.json": Vocabulary.from_json,
    "config.json": huggingface.read_config,
    "ecor.json": read_tuned,
    "a.zip": open_files,
    "a.rec": RecordIO,
    "a.idx": lambda path: RecordIO(write(path.with_suffix(".rec"), bytes(64))),
    "a.bin": read_bin,
    "a.pt": open_torch,
    "a.safetensors": open_safetensors,
    "a.csv": lambda path: list(read_table(path, ["a"])),
    "a.csv.gz": lambda path: list(read_table(path, ["a"])),
    "merges.txt.gz": lambda path: tokenizer_files.openai_tokenizer(path, 77),
}


def special(name: str, make: Callable[[Path], None], read: Callable[[Path], object]) -> Any:
    def bomb(folder: Path) -> Attempt:
        make(folder / name)
        return lambda: read(folder / name), (name,)

    return bomb


BOMBS |= {
    "folder with two links to itself": links_to_itself,
    "folders that link to one another": links_to_one_another,
    "rec that announces 2**24 images": recordio,
}
for _kind, _make in SPECIAL.items():
    BOMBS |= {f"{_kind} as {_name}": special(_name, _make, _read) for _name, _read in FILES.items()}


# Attempts in processes of their own.


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of reading a file: "refused", or what else; the error's message, peak memory and time."""

    what: str
    message: str
    mebibytes: float
    seconds: float


def attempt(name: str, room: int = ROOM, patience: float = SECONDS) -> Outcome:
    """Builds and reads a file, in `room` MiB of address space and at most `patience` seconds."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=_in_child, args=(name, Path(folder), room, sender))
        process.start()
        sender.close()
        try:
            before = receiver.recv()
            if receiver.poll(patience):
                return Outcome(*receiver.recv())
            return Outcome("hangs", "", _mebibytes("VmHWM", process.pid) - before, patience)
        except EOFError:
            return Outcome("dies", "", 0, 0)
        finally:
            process.kill()
            process.join()


def _in_child(name: str, folder: Path, room: int, sender: Connection) -> None:
    read, words = BOMBS[name](folder)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of building
    before = _mebibytes("VmHWM")
    most = (int(_mebibytes("VmSize")) + room) << 20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    sender.send(before)
    start = time.monotonic()
    what, message = _outcome(read, words)
    sender.send((what, message, _mebibytes("VmHWM") - before, time.monotonic() - start))


def _outcome(read: Callable[[], object], words: tuple[str, ...]) -> tuple[str, str]:
    try:
        read()
    except BaseException as error:
        message, cause = str(error)[:3000].encode("utf-8", "backslashreplace").decode(), error
        while cause:
            if isinstance(cause, MemoryError):
                return "MemoryError", message
            cause = cause.__cause__ or cause.__context__
        if not isinstance(error, UserError):
            return type(error).__name__, message
        printable = message == str(error)[:3000] and "\n" not in message and len(message) < 2000
        if not printable or words[0] not in message:
            return "unclear" if printable else "unprintable", message
        return "refused" if all(word in message for word in words) else "refused for another reason", message
    return "read", ""


def _mebibytes(field: str, process: object = "self") -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


@pytest.fixture(scope="module")
def attempts() -> Iterator[Callable[[str], Outcome]]:
    """`attempt` in a fresh process: the one of the tests has threads, and may not be forked."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin and server.stdout

        def ask(name: str) -> Outcome:
            print(name, file=server.stdin, flush=True)
            return Outcome(**json.loads(server.stdout.readline()))

        yield ask
        server.stdin.close()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_memory_and_time(name, attempts):
    outcome = attempts(name)
    assert outcome.what == "refused", outcome
    assert outcome.mebibytes < MEMORY and outcome.seconds < SECONDS, outcome


def main() -> None:
    if sys.argv[1:] == ["--serve"]:
        for line in sys.stdin:
            print(json.dumps(dataclasses.asdict(attempt(line.strip()))), flush=True)
        return
    print(f"{'peak MiB':>8} {'seconds':>7}  outcome")
    for name in BOMBS:
        if not sys.argv[1:] or any(word in name for word in sys.argv[1:]):
            outcome = attempt(name, room=8 << 10, patience=30)
            cost = f"{outcome.mebibytes:8.0f} {outcome.seconds:7.1f}"
            print(f"{cost}  {outcome.what:26} {name}: {outcome.message[:120]!r}", flush=True)


if __name__ == "__main__":
    main()

"""Small files that ask for much: memory, time or Python's stack. Each must be refused in one line that names it.

`python tests/untrusted/test_bombs.py [WORD ...]` prints what each file costs whose name has one of the words, and
exits with status 1 if one is not refused, or not within the limits. Every file is read in a process of its own, forked
from one that has the readers imported. Linux only: memory is read from /proc.
"""

import gzip
import json
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
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, features
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from safetensors.numpy import save_file

from ecor_jax.bottleneck import directory as bottleneck_dir
from ecor_jax.checkpoints import huggingface, openclip, tokenizer_files
from ecor_jax.checkpoints.preprocessor import preprocessor_fields, read_preprocess
from ecor_jax.checkpoints.tensor_files import open_safetensors, open_tensors
from ecor_jax.checkpoints.torch_zip import open_torch
from ecor_jax.clip.config import preset
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.data.array_records import splits_of_array_records
from ecor_jax.data.captions import ListedCaptions
from ecor_jax.data.concept_sets import read_concepts
from ecor_jax.data.decode import decode_image
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.files import open_files
from ecor_jax.data.pickled_pairs import read_bin
from ecor_jax.data.pictures import records_of
from ecor_jax.data.recordio import RecordIO
from ecor_jax.data.recordio_file import read_index
from ecor_jax.data.sources import InMemory
from ecor_jax.data.tables import read_table
from ecor_jax.data.tally import Tally
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.features.encoders import FileEncoder
from ecor_jax.radiology.reports import causal_model
from ecor_jax.radiology.reports.language_model import _answers_file
from ecor_jax.radiology.reports.statements import read_statements
from ecor_jax.tasks.rationale import tuned
from ecor_jax.training.metrics_log import read_metrics
from ecor_jax.training.workdir import locked_workdir

MEMORY, SECONDS = 600, 10
"""MiB and seconds that refusing a file may take."""
ROOM = 2 << 30
"""Bytes of address space a process is given beyond what it has: a bomb ends the process, not the machine."""
GIB, PIECE = 1 << 30, 16 << 20

Make = Callable[[Path], bytes | str | None]
Read = Callable[[Path], object]


# What reads them.


def read_tuned(path: Path) -> object:
    # The weights beside it are none of its business.
    tuned.load_clip = lambda *_, **__: SimpleNamespace(path=path.parent, digest="")
    return tuned.load_tuned(path.parent)


def read_bottleneck(path: Path) -> object:
    (path.parent / bottleneck_dir.HEAD).touch()
    return bottleneck_dir.load_bottleneck(SimpleNamespace(path=path.parent, digest=""))


def read_tokenizer(path: Path) -> object:
    (path.parent / "tokenizer.json").touch()
    return tokenizer_files.read_tokenizer(path.parent, preset("tiny/16-8").text)


def read_embeddings(path: Path) -> object:
    names = {"images": path.read_text(), "texts": '["a"]'}
    save_file({name: np.ones((1, 2), np.float32) for name in names}, path, names)
    return FileEncoder(path)


JSON: dict[str, Read] = {
    "rationales.json": Vocabulary.from_file,
    "descriptors.json": Descriptors.from_file,
    "captions.json": lambda path: ListedCaptions(InMemory([], "nothing"), path),
    "captioned.json": lambda path: ListedCaptions(InMemory([], "nothing"), "", [path]),
    "statements.jsonl": read_statements,
    "categories.json": lambda path: splits_of_array_records(path.parent),
    "embeddings.safetensors": read_embeddings,
    "config.json": huggingface.read_config,
    "causal/config.json": lambda path: causal_model.read_config(path.parent),
    "generation_config.json": lambda path: causal_model.read_end_tokens(path.parent),
    "preprocessor_config.json": lambda path: read_preprocess(path.parent),
    "open_clip_config.json": openclip.read,
    "model.safetensors.index.json": open_tensors,
    "tokenizer_config.json": read_tokenizer,
    "ecor.json": read_tuned,
    "bottleneck/ecor.json": read_bottleneck,
    "metrics.jsonl": read_metrics,
    "answers.jsonl": lambda path: _answers_file(path).__enter__(),
    "workdir/config.json": lambda path: locked_workdir(path.parent, {"steps": 1}, {"steps": 1}).__enter__(),
}
READ: dict[str, Read] = JSON | {
    "picture": lambda path: Preprocess(224)(decode_image(path.read_bytes(), path.name)),
    "picture of a folder": lambda path: open_files(path.parent).read(path.name),
    "picture of a list": lambda path: records_of([path], Tally(), skip_bad=True),
    "pictures": lambda path: records_of([path.parent], Tally(), skip_bad=True),
    "files": open_files,
    "member": lambda path: open_files(path).read("a.png"),
    "recordio": RecordIO,
    "index": read_index,
    "merges": lambda path: tokenizer_files.openai_tokenizer(path, 77),
    "table": lambda path: list(read_table(path, ["a"])),
    "concepts": read_concepts,
    "bin": read_bin,
    "torch": lambda path: [tensor.read() for tensor in open_torch(path).values()],
    "safetensors": open_safetensors,
}


# What they are made of.


def image_file(side: int, other: int, kind: str = "PNG", **options) -> bytes:
    Image.new("RGB", (side, other)).save(file := BytesIO(), kind, **options)
    return file.getvalue()


def immense(kind: str, sizes: str, before: bytes = b"") -> bytes:
    """A picture of 6x6 that claims 60,000x60,000, where its head has both sides."""
    small, large = (before + struct.pack(sizes, side, side) for side in (6, 60_000))
    return image_file(6, 6, kind).replace(small, large)


def jpeg_of_scans(kind: str = "JPEG", **options) -> bytes:
    """A progressive JPEG whose last scan, of a few bytes, is given 2,000 times: each goes over all of it."""
    content = image_file(4_000, 4_000, kind, progressive=True, **options)
    end = content.index(b"\xff\xd9")
    return content[:end] + content[content.rindex(b"\xff\xda", 0, end) : end] * 2_000 + content[end:]


def dicom_of_scans(path: Path) -> None:
    image = dcmread(get_testdata_file("SC_rgb_small_odd_jpeg.dcm", download=False))
    image.Rows = image.Columns = 4_000
    image.PixelData = encapsulate([jpeg_of_scans()])
    image.save_as(path)


def deflated(byte: bytes = b"\0") -> bytes:
    """A raw DEFLATE stream of 1 GiB, in a thousandth of it."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # A full flush makes pieces that stand for themselves, so one can be repeated.
    piece = compressor.compress(byte * PIECE) + compressor.flush(zlib.Z_FULL_FLUSH)
    return piece * (GIB // PIECE) + compressor.flush()


def deflated_dicom(_: Path) -> bytes:
    syntax = b"1.2.840.10008.1.2.1.99"
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)) + meta + deflated()


def gzipped(byte: bytes) -> bytes:
    return gzip.compress(b"")[:10] + deflated(byte) + bytes(8)


def zipped(path: Path, name: str, content: bytes, other: bytes = b"", **fields: int) -> None:
    """A zip of a stored member, and another; `fields` of the first are what the directory says instead."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
        archive.writestr("other", other)
        for field, value in fields.items():
            setattr(archive.infolist()[0], field, value)


def zip_bomb(size: int, name: str = "a.png", other: bytes = b"") -> Make:
    return lambda path: zipped(path, name, deflated(), other, compress_type=zipfile.ZIP_DEFLATED, file_size=size)


def zip_with_a_name_twice(_: Path) -> bytes:
    """Its directory alone, of 60,001 names."""
    names = [str(number).encode() for number in range(60_000)] + [b"59999"]
    directory = b"".join(struct.pack("<4s24xH16x", b"PK\1\2", len(name)) + name for name in names)
    return directory + struct.pack("<4s4xHHII2x", b"PK\5\6", len(names), len(names), len(directory), 0)


ENDLESS_MEMO = b"}r\0\0\0\x10"
LAUGHS = b")q\0" + 100 * b"0h\0h\0\x86q\0"
"""A tuple of twice a tuple of twice a tuple, a hundred deep: nothing to hold, endless to look through."""
LAUGHS_AS_SHAPE = b"cnumpy.core.multiarray\n_reconstruct\n)R(K\1" + LAUGHS + b"cnumpy\ndtype\nU\2u1\x85R\x89U\1atb]\x86"
MANY_DIGITS = pickle.dumps(1 << 20_000, 2)[2:-1]
"""A number that Python does not write out."""
_NAME = b"X" + struct.pack("<I", 100_000) + b"n" * 100_000 + b"q\0"
LONG_NAMES = b"}" + _NAME + 20_000 * b"}h\0" + b"N" + 20_000 * b"s" + b"s"
"""Dicts within dicts, all under one name of 100 kB: the dotted name of the innermost has 2 GB."""
_LISTS = b"ctorch._utils\n_rebuild_tensor_v2\nq\0](" + b"K\2" * 1_000_000 + b"eq\1](" + b"K\0" * 1_000_000 + b"eq\2"
_TENSOR = b"h\0((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000X\3\0\0\0cpuK\1tQK\0h\1h\2tR"
MANY_SIZES = _LISTS + b"}(" + b"".join(b"X\4\0\0\0%04d" % number + _TENSOR for number in range(1_000)) + b"u"
"""A thousand tensors that share one list of a million sizes."""


def in_pickle(content: bytes) -> Make:
    return lambda _: b"\x80\2" + content + b"."


def in_torch(content: bytes) -> Make:
    return lambda path: zipped(path, "x/data.pkl", b"\x80\2" + content + b".")


def many_keys(_: Path) -> str:
    return "{" + "".join(f'"{number}": 1, ' for number in range(200_000)) + '"199999": 1}'


def many_classes(_: Path) -> str:
    return json.dumps({f"class {number}": [f"part {number}"] for number in range(100_000)})


def of_vision(**fields: int) -> Make:
    tower = {"hidden_act": "gelu"}
    return lambda _: json.dumps({"model_type": "clip", "text_config": tower, "vision_config": tower | fields})


def wide_pictures(_: Path) -> str:
    return json.dumps(preprocessor_fields(Preprocess(224)) | {"size": {"shortest_edge": 1 << 20}})


def links_to_one_another(path: Path) -> None:
    for name in range(12):
        (path / f"{name}").mkdir(parents=True)
        for other in range(12):
            (path / f"{name}" / f"to {other}").symlink_to(path / f"{other}")


def announced(path: Path) -> bytes:
    """Two records, the first of which announces the keys of 16,777,214 images."""
    path.with_suffix(".idx").write_text("0\t0\n1\t40\n")
    pairs = ((2**24 - 1, 2**24), (3, 1))
    return b"".join(struct.pack("<IIIfQQ2f", 0xCED7230A, 32, 2, 0, 0, 0, *pair) for pair in pairs)


CLAIMS = "that claims 60,000x60,000"
AVIF = [">2I", b"ispe\0\0\0\0"]
MPO = {"save_all": True, "append_images": [Image.new("L", (8, 8))]}
BOMBS: dict[str, tuple[str, str, str, Make]] = {
    "PNG of 60,000x1": ("x.png", "picture", "times as long", lambda _: image_file(60_000, 1)),
    f"BMP {CLAIMS}": ("x.bmp", "picture", "3600000000 pixels", lambda _: immense("BMP", "<2i")),
    "JPEG of 2,000 scans": ("x.jpg", "picture", "scans", lambda _: jpeg_of_scans()),
    "MPO of 2,000 scans": ("x.jpg", "picture", "scans", lambda _: jpeg_of_scans("MPO", **MPO)),
    "DICOM of 2,000 scans": ("x.dcm", "picture", "scans", dicom_of_scans),
    "DICOM that is deflated": ("x.dcm", "picture", "deflated", deflated_dicom),
    "zip of 1 GiB": ("x.zip", "member", "expands", zip_bomb(GIB)),
    "zip of 1 GiB beside 16 MiB": ("x.zip", "member", "expands", zip_bomb(GIB, other=bytes(PIECE))),
    "zip of 1 GiB that says 1,000 bytes": ("x.zip", "member", "cannot be read", zip_bomb(1_000)),
    "zip of 60,001 names, one of them twice": ("x.zip", "files", "twice", zip_with_a_name_twice),
    "merges of 1 GiB": ("x.txt.gz", "merges", "expands", lambda _: gzipped(b"a")),
    "merges in 200,000 empty members": ("x.txt.gz", "merges", "CLIP", lambda _: gzip.compress(b"") * 200_000),
    "table of 1 GiB": ("x.csv.gz", "table", "expands", lambda _: gzipped(b"\n")),
    "table of 200,000 columns": ("x.csv", "table", "'a'", lambda _: "a,a," + ",".join(map(str, range(200_000)))),
    "concepts of 30,000,000 lines": ("x.txt", "concepts", "lines", lambda _: "a\n" * 30_000_000),
    "pickle with a memo of 2**28": ("x.bin", "bin", "found dict", in_pickle(ENDLESS_MEMO)),
    "pickle with laughs as a key": ("x.bin", "bin", "no texts", in_pickle(b"}" + LAUGHS + b"Ns")),
    "pickle with laughs as a shape": ("x.bin", "bin", "found a pair", in_pickle(LAUGHS_AS_SHAPE)),
    "pickle with laughs as a dtype": ("x.bin", "bin", "tuple", in_pickle(b"cnumpy\ndtype\n" + LAUGHS + b"\x85R")),
    "pickle with laughs as an image": ("x.bin", "bin", "image 0", in_pickle(b"](" + LAUGHS + b"Ne]\x88a\x86")),
    "pickle with a number of 6,021 digits": ("x.bin", "bin", "more than data", in_pickle(MANY_DIGITS)),
    "torch with a memo of 2**28": ("x.pt", "torch", "no tensors", in_torch(ENDLESS_MEMO)),
    "torch of dicts under long names": ("x.pt", "torch", "letters", in_torch(LONG_NAMES)),
    "torch of a million sizes": ("x.pt", "torch", "dimensions", in_torch(MANY_SIZES)),
    "torch that is deflated": ("x.pt", "torch", "is compressed", zip_bomb(64 << 20, "x/data.pkl")),
    "config of 200,000 keys": ("config.json", "config.json", "twice", many_keys),
    "config of 10**6 layers": ("config.json", "config.json", "layers", of_vision(num_hidden_layers=10**6)),
    "config of 10**9 columns": ("config.json", "config.json", "hidden_size", of_vision(hidden_size=10**9)),
    "pictures 2**20 wide": ("preprocessor_config.json", "preprocessor_config.json", "size", wide_pictures),
    "rationales of 200,000 mistakes": ("x.json", "rationales.json", "found", many_keys),
    "rationales of 100,000 classes": ("x.json", "rationales.json", "make more", many_classes),
    "folders that link to one another": (
        "folder",
        "files",
        "50,000 times; expected a tree",
        links_to_one_another,
    ),
    "rec that announces 2**24 images": ("x.rec", "recordio", "lacks", announced),
}
"""By what it is: a file's name, what reads it, a part of the reason to refuse it, what makes its content or itself."""
if features.check("avif"):
    BOMBS[f"AVIF {CLAIMS}"] = ("x.avif", "picture", "x.avif", lambda _: immense("AVIF", *AVIF))
for _name in JSON:  # Limits have tests of their own: here every reader shows that it keeps them.
    # Of lines that runs wrote themselves no more is said than that they are damaged. DROR's rationales give keys twice.
    _reason = "line 1" if _name in ("metrics.jsonl", "answers.jsonl") else "nested"
    BOMBS[f"{_name} of lists 10,000 deep"] = (_name, _name, _reason, lambda _: "[" * 10_000 + "]" * 10_000 + "\n")
    if _reason == "nested" and _name != "rationales.json":
        BOMBS[f"{_name} with a key twice"] = (_name, _name, "twice", lambda _: '{"k": 1, "k": 2}\n')
PIPES = {"a.png": "picture of a folder", "b.png": "picture of a list", "c.png": "pictures", "a.json": "rationales.json"}
PIPES |= {"a.zip": "files", "a.rec": "recordio", "a.idx": "index", "a.bin": "bin", "a.pt": "torch"}
PIPES |= {"a.safetensors": "safetensors", "a.csv": "table", "a.gz": "merges"}
for _name, _reader in PIPES.items():
    BOMBS[f"pipe as {_name}"] = (_name, _reader, "expected a", os.mkfifo)


def attempt(what: str) -> tuple[str, str, float, float]:
    """What came of reading a file: "refused", or what else; the error's message, peak memory in MiB, and seconds."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=_in_child, args=(what, Path(folder), sender))
        process.start()
        sender.close()
        try:
            receiver.recv()  # it is made
            return receiver.recv() if receiver.poll(SECONDS) else ("hangs", "", 0, SECONDS)
        except EOFError:
            return "dies", "", 0, 0
        finally:
            process.kill()
            process.join()


def _in_child(what: str, folder: Path, sender) -> None:
    name, reader, reason, make = BOMBS[what]
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if (content := make(path)) is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    sender.send("made")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of making it
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    most = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    found, message = "read", ""
    try:
        READ[reader](path)
    except BaseException as error:
        message, cause = str(error)[:3000], error
        while cause and not isinstance(cause, MemoryError):
            cause = cause.__cause__ or cause.__context__
        found = type(cause or error).__name__
        if not cause and isinstance(error, UserError):
            clear = path.name in message and reason in message and "\n" not in message and len(message) < 2000
            found = "refused" if clear else "unclear"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    sender.send((found, message, grown / 1024, time.monotonic() - start))


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
def test_bombs_are_refused_in_little_memory_and_time():
    """In a fresh process: that of the tests has threads, and may not be forked."""
    run = subprocess.run([sys.executable, __file__], capture_output=True, text=True)
    assert run.returncode == 0, [line for line in run.stdout.split("\n") if "  refused " not in line] + [run.stderr]


def main() -> None:
    print(f"{'peak MiB':>8} {'seconds':>7}  outcome")
    failed = False
    for what in BOMBS:
        if not sys.argv[1:] or any(word in what for word in sys.argv[1:]):
            found, message, mebibytes, seconds = attempt(what)
            if found == "refused" and (mebibytes > MEMORY or seconds > SECONDS):
                found = "costly"
            failed |= found != "refused"
            print(f"{mebibytes:8.0f} {seconds:7.1f}  {found:10} {what}: {message[:120]!r}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()

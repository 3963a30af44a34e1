"""Every reader of foreign bytes, on mutated files: each must be read, or refused with a UserError.

    python tests/fuzz.py READER [--seconds=600] [--seed=0] [--keep=FOLDER]

READER is one of READERS below, or `all` for each in turn. Faults are all other exceptions, MemoryErrors even if caught,
messages that cannot be printed, and more than 10 seconds. Linux only: memory is read from /proc.
"""

import argparse
import collections
import contextlib
import dataclasses
import faulthandler
import gzip
import io
import itertools
import json
import logging
import os
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
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import save
from transformers.convert_slow_tokenizer import bytes_to_unicode

from ecor_jax.checkpoints import huggingface, openclip
from ecor_jax.checkpoints.preprocessor import preprocessor_fields, read_preprocess
from ecor_jax.checkpoints.tensor_files import open_safetensors
from ecor_jax.checkpoints.tokenizer_files import openai_tokenizer
from ecor_jax.checkpoints.torch_zip import open_torch
from ecor_jax.clip.config import preset
from ecor_jax.clip.preprocessing import Preprocess
from ecor_jax.data.encode import decode_image
from ecor_jax.data.files import open_files
from ecor_jax.data.pickled_pairs import read_bin
from ecor_jax.data.recordio import RecordIO
from ecor_jax.data.tables import read_table
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError

MEMORY, SECONDS = 3 << 30, 10.0
"""Address space beyond that of the start, and time, that an execution may take."""
MEMORY_FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where files are written; the last one stays there if it ends the process."""
Seed = tuple[bytes, Callable[[bytes], bytes]]
"""A good content, and what makes a file of it: mutations come before that, or after."""

# Good files.

GREY = Image.linear_gradient("L").resize((12, 9))
COLOUR, DEEP = GREY.convert("RGB"), Image.fromarray(np.asarray(GREY, np.uint16) * 200)


def picture(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks have theirs anew: with wrong ones, no chunk is looked into."""
    start, whole = 8, content[:8]
    while len(content) - start >= 12:
        end = start + 8 + int.from_bytes(content[start : start + 4], "big")
        whole += content[start:end] + struct.pack(">I", zlib.crc32(content[start + 4 : end]))
        start = end + 4
    return whole


def pictures() -> list[Seed]:
    pngs = [picture(image, "PNG") for image in (COLOUR, DEEP)] + [picture(GREY.convert("P"), "PNG", transparency=3)]
    others = [
        *(picture(image, "JPEG", progressive=True) for image in (COLOUR, GREY.convert("CMYK"))),
        *(picture(GREY.convert("P"), kind) for kind in ("GIF", "BMP")),
        *(picture(COLOUR, "WEBP", lossless=lossless) for lossless in (True, False)),
        *(picture(image, "PPM") for image in (GREY, GREY.convert("1"), DEEP)),
        *(picture(COLOUR, "TIFF", compression=name) for name in ("raw", "tiff_lzw", "packbits", "jpeg")),
        *(picture(DEEP, "TIFF"), picture(GREY.convert("1"), "TIFF", compression="group4")),
    ]
    return [(png, with_checksums) for png in pngs] + [(other, same) for other in others]


def dicoms() -> list[Seed]:
    from pydicom import Dataset, dcmread
    from pydicom.data import get_testdata_file

    names = ("MR_small.dcm", "MR_small_RLE.dcm", "SC_rgb_small_odd.dcm", "SC_rgb_small_odd_jpeg.dcm")
    paths = [str(get_testdata_file(name, download=False)) for name in names]
    image, table, file = dcmread(paths[0]), Dataset(), io.BytesIO()
    table.add_new("LUTDescriptor", "US", [4, 0, 8])
    table.add_new("LUTData", "US", [0, 90, 180, 255])
    image.VOILUTSequence = [table]
    image.save_as(file)
    return [(content, same) for content in (file.getvalue(), *(Path(path).read_bytes() for path in paths))]


def same(content: bytes) -> bytes:
    return content


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def zips() -> list[Seed]:
    members = {"a.png": b"first " * 9, "b/c.jpg": b"second"}
    return [(zipped(members, method), same) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]


def torch_archive(description: bytes) -> bytes:
    return zipped({"x/data.pkl": description, "x/byteorder": b"little", "x/data/0": bytes(24)})


def torches() -> list[Seed]:
    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000X\3\0\0\0cpuK\6tQ"
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"K\0K\2K\3\x86K\3K\1\x86\x89ccollections\nOrderedDict\n)RtR"
    )
    state, module = b"\x80\2}X\1\0\0\0a" + tensor + b"s.", b"\x80\2c__torch__\nM\n)\x81}X\1\0\0\0a" + tensor + b"sb."
    return [(state, torch_archive), (module, torch_archive), (torch_archive(state), same)]


def bins() -> list[Seed]:
    images: list[Any] = [b"first", bytearray(b"second")]
    arrays = [np.frombuffer(image, np.uint8) for image in images]
    pairs = [(images, [True]), (arrays, [np.bool_(True)]), (tuple(arrays), np.array([False]))]
    return [(pickle.dumps(pair, protocol), same) for pair in pairs for protocol in (0, 2, 4, 5)]


def safetensors() -> list[Seed]:
    whole = save({"a": np.arange(6, dtype=np.float32), "b": np.ones((2, 2), np.float16)}, {"format": "pt"})
    end = 8 + int.from_bytes(whole[:8], "little")
    return [(whole, same), (whole[8:end], lambda header: struct.pack("<Q", len(header)) + header + whole[end:])]


def records() -> list[Seed]:
    """An index, an empty line, and the records: images 1 to 4, of the identities 5 and 6, that record 0 announces."""
    labels = {0: (5.0, 7.0), 1: (3.0, 1.0), 2: (3.0, 1.0), 3: (8.0, 1.0), 4: (8.0, 1.0), 5: (1.0, 3.0), 6: (3.0, 5.0)}
    index, content = b"", b""
    for key, pair in labels.items():
        data = struct.pack("<IfQQ2f", 2, 0, key, 0, *pair) + (b"picture!" if 1 <= key <= 4 else b"")
        index += b"%d\t%d\n" % (key, len(content))
        content += struct.pack("<II", 0xCED7230A, len(data)) + data
    return [(index + b"\n" + content, same), (b"\n".join(index.split(b"\n")[1:5]) + b"\n\n" + content, same)]


def merges() -> list[Seed]:
    letters = bytes_to_unicode().values()
    lines = [f"{first} {second}" for first, second in itertools.product(letters, letters)]
    return [("\n".join(["heading", *lines[:48894]]).encode(), lambda text: gzip.compress(text, 1))]


def of_json(*values: Any) -> list[Seed]:
    return [(json.dumps(value).encode(), same) for value in values]


TABLE = b'a,b,c\r\n1,"x, ""y""",\r\n2,3.5,"two\nlines"\r\n'
RATIONALES = {"cat": ["a long tail", {"whiskers": ["long", "white"]}], "n01": {"name": "dog", "rationales": ["a nose"]}}
OPENCLIP = {
    "model_cfg": {
        "embed_dim": 512,
        "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32, "mlp_ratio": 4.0},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12},
        "quick_gelu": True,
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "size": 224, "resize_mode": "shortest"},
}


# Readers.


def each(read: Callable[[Any], object], entries: Any) -> None:
    """Reads all entries, past those that are refused."""
    for entry in entries:
        with contextlib.suppress(UserError):
            read(entry)


def from_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def write_and_read(content: bytes, folder: Path) -> object:
        (folder / name).write_bytes(content)
        return read(folder / name)

    return write_and_read


def read_records(content: bytes, folder: Path) -> None:
    index, _, data = content.partition(b"\n\n")
    (folder / "x.idx").write_bytes(index)
    (folder / "x.rec").write_bytes(data)
    source = RecordIO(folder / "x.rec")
    each(source.__getitem__, range(len(source)))


def read_picture(path: Path) -> object:
    return Preprocess(32)(decode_image(path.read_bytes(), path.name))


def read_openclip(path: Path) -> object:
    (path.parent / openclip.WEIGHTS[0]).touch()
    return openclip.read(path.parent)


def read_zip(path: Path) -> None:
    files = open_files(path)
    each(files.read, files.members)


def read_tensors(tensors: dict[str, Any]) -> None:
    each(lambda tensor: tensor.read(), tensors.values())


READERS: dict[str, tuple[Callable[[], list[Seed]], Callable[[bytes, Path], object]]] = {
    "bin": (bins, from_file("x.bin", read_bin)),
    "torch": (torches, from_file("x.pt", lambda path: read_tensors(open_torch(path)))),
    "safetensors": (safetensors, from_file("x.safetensors", lambda path: read_tensors(open_safetensors(path)))),
    "recordio": (records, read_records),
    "zip": (zips, from_file("x.zip", read_zip)),
    "pictures": (pictures, from_file("picture", read_picture)),
    "dicom": (dicoms, from_file("x.dcm", read_picture)),
    "rationales": (lambda: of_json(RATIONALES), from_file("x.json", Vocabulary.from_json)),
    "csv": (lambda: [(TABLE, same)], from_file("x.csv", lambda path: list(read_table(path, ["a"])))),
    "csv.gz": (lambda: [(TABLE, gzip.compress)], from_file("x.csv.gz", lambda path: list(read_table(path, ["a"])))),
    "merges": (merges, from_file("x.txt.gz", lambda path: openai_tokenizer(path, 77))),
    "config": (
        lambda: of_json(huggingface.config_fields(preset("tiny/16-8"), None)),
        from_file("config.json", huggingface.read_config),
    ),
    "preprocessor": (
        lambda: of_json(*(preprocessor_fields(Preprocess(224, resize=way)) for way in ("shortest", "squash"))),
        from_file("preprocessor_config.json", lambda path: read_preprocess(path.parent)),
    ),
    "openclip": (lambda: of_json(OPENCLIP), from_file(openclip.CONFIG, read_openclip)),
}

# Mutations.

NUMBERS = [0, 1, -1, 2, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63]
WORDS = [
    *(b"1e999", b"-1e999", b"NaN", b"1e308", b"1e-320", b"0.5", b"null", b"true", b"[]", b"{}", b'""', b"9" * 6000),
    *(rb'"\ud800"', rb'"\u0000"', rb'"\u001b[2J"', b"[" * 5000 + b"]" * 5000, b'{"a":' * 5000 + b"1" + b"}" * 5000),
    *(str(number).encode() for number in NUMBERS),
]
TOKEN = re.compile(rb'"[^"\n]*"|[-+.\w]+')


def mutated(content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        tokens = list(itertools.islice(TOKEN.finditer(content), 200)) if content.isascii() else []
        if tokens and rng.random() < 0.6:
            start, stop = rng.choice(tokens).span()
            new = rng.choice((*WORDS, *(token.group() for token in tokens)))
        else:
            start, stop, new = _bytes(content, rng.choice(others), rng)
        content = content[:start] + new + content[stop:]
    return content[: 1 << 20]


def _bytes(content: bytes, other: bytes, rng: random.Random) -> tuple[int, int, bytes]:
    """A range of the content, and what takes its place."""
    length = rng.choice((1, 2, 4, 8, rng.randrange(1, 100)))
    # The first bytes of most formats say how the others are read.
    start = rng.randrange(min(len(content), rng.choice((64, len(content) or 1))) or 1)
    piece = content[start : start + length]
    match rng.randrange(6):
        case 0:
            return start, start + 1, bytes([(piece or b"\0")[0] ^ 1 << rng.randrange(8)])
        case 1:
            return start, start, rng.randbytes(length)
        case 2:
            return start, start + length, b""
        case 3:
            return start, start, piece * rng.choice((1, 1, 2, 50))
        case 4:
            begin = rng.randrange(len(other) or 1)
            return start, start + rng.choice((0, length)), other[begin : begin + length]
    size = rng.choice((1, 2, 4, 8))
    number = rng.choice(NUMBERS) % (1 << 8 * size)
    return start, start + size, number.to_bytes(size, rng.choice(("little", "big")))


# Executions.


class Overtime(BaseException):
    """Raised by the alarm; no reader catches it."""


@dataclasses.dataclass
class Result:
    """How many files were read, how often each fault occurred, an error of each, and the growth of memory in MiB."""

    executions: int = 0
    faults: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    errors: dict[str, BaseException] = dataclasses.field(default_factory=dict)
    growth: float = 0


def fault(read: Callable[[bytes, Path], object], content: bytes, folder: Path) -> BaseException | None:
    """What went wrong; None if the content was read or refused as it should be."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        read(content, folder)
    except UserError as error:
        cause: BaseException | None = error
        while cause and not isinstance(cause, MemoryError):
            cause = cause.__cause__ or cause.__context__
        try:
            str(error).encode()
        except UnicodeEncodeError as unprintable:
            return unprintable
        return cause
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def fuzz(name: str, seconds: float, most: float = float("inf"), seed: int = 0, keep: Path | None = None) -> Result:
    """Reads mutated files for `seconds`, `most` files at most; `keep` gets the first file of each fault."""
    make, read = READERS[name]
    rng, result, told = random.Random(seed), Result(), 10.0
    seeds = make()
    contents = [content for content, _ in seeds]
    with tempfile.TemporaryDirectory(prefix=f"fuzz_{name}_", dir=MEMORY_FOLDER) as folder, _guarded():
        before, start = _mebibytes("VmRSS"), time.monotonic()
        while (spent := time.monotonic() - start) < seconds and result.executions < most:
            content, pack = rng.choice(seeds)
            if rng.random() < 0.7:
                content = pack(mutated(content, contents, rng))
            else:
                content = mutated(pack(content), contents, rng)
            result.executions += 1
            if error := fault(read, content, Path(folder)):
                kind = f"{type(error).__name__} {_place(error)}"
                if keep and kind not in result.errors:
                    (keep / f"{name}.{len(result.errors) + 1}").write_bytes(content)
                result.errors.setdefault(kind, error)
                result.faults[kind] += 1
            if spent > told:
                told += 10
                counts = (
                    f"{result.executions} executions, {result.executions / spent:.0f}/s, {result.faults.total()} faults"
                )
                print(f"{name}: {counts}, {seconds - spent:.0f} s left", flush=True)
        result.growth = _mebibytes("VmHWM") - before
    return result


def _place(error: BaseException) -> str:
    """Where in this project an error comes from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ecor_jax" in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "elsewhere"


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    """Bounds on time and memory, and no warnings, within the block."""

    def stop(*_: Any) -> None:
        raise Overtime(f"more than {SECONDS:g} seconds")

    handler, limits = signal.signal(signal.SIGALRM, stop), resource.getrlimit(resource.RLIMIT_AS)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    resource.setrlimit(resource.RLIMIT_AS, ((int(_mebibytes("VmSize")) << 20) + MEMORY, limits[1]))
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGALRM, handler)


def _mebibytes(field: str) -> float:
    return int(re.findall(rf"(?m)^{field}:\s*(\d+)", Path("/proc/self/status").read_text())[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=[*READERS, "all"], metavar="READER")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "ecor_faults")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    # Crashes are told; what libtiff writes of every file is not.
    sys.stderr = os.fdopen(os.dup(2), "w")
    faulthandler.enable(sys.stderr)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for name in READERS if options.reader == "all" else [options.reader]:
        result = fuzz(name, options.seconds, seed=options.seed, keep=options.keep)
        faults = ", ".join(f"{count} {kind}" for kind, count in result.faults.most_common()) or "no fault"
        print(f"{name}: {result.executions} executions, memory grew by {result.growth:.0f} MiB, {faults}", flush=True)
        for number, (kind, error) in enumerate(result.errors.items(), 1):
            print(f"  {options.keep / f'{name}.{number}'}: {kind}: {str(error)[:200]!r}", flush=True)


if __name__ == "__main__":
    main()

"""Pictures and records for all tests of data."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from ecor_jax.data.records import Record, Source

PHOTO = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def encoded(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options) -> bytes:
    """A file of this picture."""
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, kind, **options)
    return file.getvalue()


def square(red: int, green: int = 0, blue: int = 0) -> bytes:
    """A file of one colour."""
    return encoded(Image.new("RGB", (6, 5), (red, green, blue)))


def squash(image: Image.Image) -> np.ndarray:
    """The simplest preprocessing."""
    return np.asarray(image.resize((16, 16), Image.Resampling.BICUBIC))


def records_of(source: Source) -> list[Record]:
    """All records, whose categories are those that the source lists."""
    records = [source[index] for index in range(len(source))]
    assert source.categories == tuple(record["category"] for record in records)
    return records


def pairs_of(source: Source) -> list[tuple[str, bytes]]:
    """The category and the picture of every record."""
    return [(record["category"], record["image"]) for record in records_of(source)]


def read_by_many_threads(source: Source) -> list[list[bytes]]:
    """All pictures, as each of eight threads reads them at the same time, in an order of its own."""
    start = threading.Barrier(8)

    def read(thread: int) -> list[bytes]:
        start.wait()
        order = np.random.default_rng(thread).permutation(len(source)).tolist()
        images = {index: source[index]["image"] for index in order}
        return [images[index] for index in sorted(images)]

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(read, range(8)))

"""`load_checked`: reads an image set before training, and keeps it in memory if it fits; reports bad images."""

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Bool, UInt64
from PIL import Image
from tqdm import tqdm

from ecor_jax.data.augment import ON_ORIGINALS, Augment
from ecor_jax.data.decode import picture_of
from ecor_jax.data.encode import Preprocess
from ecor_jax.data.records import BadImage, OnBadImage, Preprocessed, Record, Source, digest, raise_bad_images
from ecor_jax.data.sources import Subset

MEMORY_LIMIT = 2 << 30  # bytes of images that `load_checked` keeps


class InMemory(Source):
    """A source whose `load` returns records from memory; None in `loaded` marks a record that is read again."""

    digests: UInt64[np.ndarray, "N"]

    def __init__(
        self, source: Source, loaded: Sequence[Record | Preprocessed | None], digests: UInt64[np.ndarray, "N"]
    ):
        self._source, self._loaded, self.digests = source, loaded, digests
        self.origin, self.categories = source.origin, source.categories

    def __getitem__(self, index: int) -> Record:
        return self._source[index]

    def load(self, index: int) -> Record | Preprocessed:
        return self._loaded[index] or self._source[index]

    def take(self, chosen: Bool[np.ndarray, "N"]) -> "InMemory":
        """Returns the chosen records."""
        rows = np.flatnonzero(chosen).tolist()
        return InMemory(Subset(self._source, rows), [self._loaded[row] for row in rows], self.digests[rows])


def load_checked(
    source: Source, preprocess: Preprocess, on_bad_image: OnBadImage = "error", augment: Augment = "none"
) -> tuple[Source, tuple[str, ...], tuple[str, ...]]:
    """Returns the readable images of a source for an encoder that uses `augment`, and two tuples of messages.

    The first has a message per skipped image. The second has a message per image whose bytes also occur in another
    class: one of the two labels is wrong, and both images are used. Images are kept in memory: preprocessed, or, if
    `augment` changes the original, decoded, up to 2 GiB. A set that exceeds 2 GiB when preprocessed is returned
    unchanged and unread; the pipeline then reports its bad images.

    Raises:
        UserError: some images are unreadable (all are counted, ten named), unless `on_bad_image` is "skip" and other
            images are readable.
    """
    shape = preprocess(Image.new("RGB", (8, 8))).shape
    if len(source) * int(np.prod(shape)) > MEMORY_LIMIT:
        return source, (), ()
    pixels = None if augment in ON_ORIGINALS else np.empty((len(source), *shape), np.uint8)
    room, lock = MEMORY_LIMIT, threading.Lock()
    digests = np.zeros(len(source), np.uint64)

    def load(index: int) -> Record | Preprocessed | BadImage | None:
        nonlocal room
        try:
            record = source[index]
            picture = picture_of(record)
        except BadImage as error:
            return error
        digests[index] = digest(record["image"])
        if pixels is not None:
            pixels[index] = preprocess(picture)
            category, rationales, name = record["category"], record["rationales"], record["name"]
            return Preprocessed(pixels=pixels[index], category=category, rationales=rationales, name=name)
        image = np.asarray(picture)
        with lock:
            room -= image.nbytes
            fits = room >= 0
        return {**record, "image": image} if fits else None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        loads = pool.map(load, range(len(source)))
        loaded = list(tqdm(loads, "reading images", len(source), unit="image", mininterval=1))
    bad = [record for record in loaded if isinstance(record, BadImage)]
    raise_bad_images(bad, len(source), source.origin, on_bad_image)
    good = {index: record for index, record in enumerate(loaded) if not isinstance(record, BadImage)}
    readable = Subset(source, list(good)) if bad else source
    found = InMemory(readable, list(good.values()), digests[list(good)])
    return found, tuple(map(str, bad)), tuple(_in_two_classes(found))


def _in_two_classes(source: InMemory) -> Iterator[str]:
    first: dict[int, int] = {}
    for index, own in enumerate(source.digests.tolist()):
        other = first.setdefault(own, index)
        if source.categories[other] != source.categories[index]:
            names = (source[number]["name"] for number in (other, index))
            yield f"{source.origin}: one picture stands in two classes, {' and '.join(names)}; both are used"

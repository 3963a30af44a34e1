"""What explains a user's own pictures by a loaded model: the same for the commands, Python and notebooks."""

import abc
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from absl import logging
from PIL import Image

from ecor_jax.atomic import write_json
from ecor_jax.data.array_records import is_array_records
from ecor_jax.data.decode import picture_of
from ecor_jax.data.files import IMAGE_SUFFIXES, open_files, read_picture
from ecor_jax.data.images import open_images, splits_of
from ecor_jax.data.records import Record
from ecor_jax.errors import UserError
from ecor_jax.pages.page import write_page
from ecor_jax.tasks.plain import Explained
from ecor_jax.untrusted.archives import is_zip

SINGLE = (str, Path, Image.Image, np.ndarray, bytes)
Picture = str | Path | Image.Image | np.ndarray | bytes
"""A file, folder, zip or ArrayRecord directory; or a picture: PIL's, uint8 [height, width, 3], or a file's bytes."""
Explanation = TypeVar("Explanation", bound=Explained)


class Explainer(abc.ABC, Generic[Explanation]):
    """A loaded model that explains pictures.

    option_names: what `explain` takes besides pictures. pairs: it explains two pictures at a time.
    """

    option_names: ClassVar[frozenset[str]] = frozenset()
    pairs: ClassVar[bool] = False
    name: str
    """Where the model is, for the page."""

    @abc.abstractmethod
    def explain_records(self, records: Sequence[Record], **options: Any) -> list[Explanation]:
        """The explanations of pictures that can be read: one for each, or for each two where `pairs` is set."""

    def context(self, explained: Sequence[Explanation]) -> dict[str, Any]:
        """What else the page needs: kind, intro, notes and so on."""
        return {}

    def explain(self, pictures: Picture | Sequence[Picture], **options: Any) -> Any:
        """The explanation of one picture, or the list of those of several, of a folder or of a zip.

        UserError if none can be read, and for an option that has no meaning here; a warning names pictures left out.
        """
        self.check_options(options)
        records = records_of(as_list(pictures), skip_bad=not self.pairs)
        explained = self.explain_records(records, **options)
        return explained[0] if isinstance(pictures, SINGLE) and not _is_collection(pictures) else explained

    def check_options(self, options: Mapping[str, Any]) -> None:
        """UserError for one that this model's explanations do not take."""
        if unused := sorted(set(options) - self.option_names):
            what = "a pair of faces" if self.pairs else "what this model explains"
            raise UserError(f"--{unused[0]} has no meaning for {what}")

    def write(self, directory: Path, explained: Sequence[Explanation]) -> Path:
        """Writes a page of explanations, with explanations.json beside it; returns its path."""
        first = explained[0]
        names = ", ".join(Path(name).name for name in first.names)
        title = names if len(explained) == 1 else f"{len(explained)} {first.shown_as}"
        context = {"title": title, "facts": {}, first.shown_as: explained} | self.context(explained)
        context["facts"] = {"Model": self.name} | context["facts"]
        page = write_page(directory, first.template, **context)
        write_json(directory / "explanations.json", [explanation.to_dict() for explanation in explained])
        return page


def as_list(pictures: Picture | Sequence[Picture]) -> Sequence[Picture]:
    """Pictures, of which one may stand for itself."""
    return [pictures] if isinstance(pictures, SINGLE) else pictures


def _is_collection(picture: Any) -> bool:
    if not isinstance(picture, str | Path):
        return False
    return Path(picture).is_dir() or (Path(picture).suffix.lower() not in IMAGE_SUFFIXES and is_zip(Path(picture)))


def records_of(pictures: Sequence[Picture], *, skip_bad: bool) -> list[Record]:
    """The pictures of files, folders, zips and ArrayRecord directories, and pictures at hand, in their order.

    UserError that names all that cannot be read, or, with `skip_bad`, a warning for each of them where others can.
    """
    readers = itertools.chain.from_iterable(_readers(n, picture) for n, picture in enumerate(pictures, 1))
    return _readable(readers, skip_bad)


def _readers(number: int, picture: Picture) -> Iterator[Callable[[], Record]]:
    """Readers of a picture, or of all those of a folder or zip, however deep, or ArrayRecord directory."""
    if not isinstance(picture, str | Path):
        image = np.asarray(picture.convert("RGB")) if isinstance(picture, Image.Image) else picture
        yield lambda: Record(image=image, category="", rationales=(), name=f"picture {number}")
        return
    path = Path(picture)
    zipped = is_zip(path) or path.suffix.lower() == ".zip"
    if not path.is_dir() and (path.suffix.lower() in IMAGE_SUFFIXES or not zipped):
        yield functools.partial(_record, functools.partial(read_picture, path), str(path))
    elif is_array_records(path):
        for split in splits_of(path) or ("",):
            source = open_images(path, split=split)
            yield from (functools.partial(source.__getitem__, row) for row in range(len(source)))
    else:
        files = open_files(path)
        for member in files.members:
            yield functools.partial(_record, functools.partial(files.read, member), member)


def _record(read: Callable[[], bytes], name: str) -> Record:
    return Record(image=read(), category="", rationales=(), name=name)


def _readable(readers: Iterable[Callable[[], Record]], skip_bad: bool) -> list[Record]:
    records, bad = [], []
    for read in readers:
        try:
            record = read()
            picture_of(record)
            records.append(record)
        except UserError as error:
            bad.append(str(error))
    if bad and not (records and skip_bad):
        count = f"{len(bad)} pictures cannot" if records or not skip_bad else "no picture can"
        raise UserError(f"{count} be read: {'; '.join(bad)}")
    for message in bad:
        logging.warning("left out: %s", message)
    return records

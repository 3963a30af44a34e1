"""What explains a user's own pictures by a loaded model: the same for the commands, Python and notebooks."""

import abc
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from PIL import Image

from ecor_jax.atomic import write_json
from ecor_jax.data.array_records import is_array_records
from ecor_jax.data.decode import in_rgb, picture_of, pixels_of
from ecor_jax.data.files import IMAGE_SUFFIXES, open_files, read_picture
from ecor_jax.data.images import open_images, splits_of
from ecor_jax.data.labelled_list import LabelledFiles
from ecor_jax.data.records import Record
from ecor_jax.data.tally import UNREADABLE, Tally
from ecor_jax.errors import UserError
from ecor_jax.pages.page import write_page
from ecor_jax.tasks.plain import Explained
from ecor_jax.untrusted.archives import is_zip

Picture = Any
"""A file, folder, zip or ArrayRecord directory; or a picture: PIL's, an array (`data.decode.pixels_of`), NumPy's, JAX's
or PyTorch's, or a file's bytes."""
Explanation = TypeVar("Explanation", bound=Explained)


class Explainer(abc.ABC, Generic[Explanation]):
    """A loaded model that explains pictures.

    option_names: what `explain` takes besides pictures. pairs: it explains two pictures at a time.
    """

    option_names: ClassVar[frozenset[str]] = frozenset()
    pairs: ClassVar[bool] = False
    name: str
    """Where the model is, for the page."""
    tally: Tally
    """What became of the pictures given last."""

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
        self.tally = Tally()
        records = records_of(as_list(pictures), self.tally, skip_bad=not self.pairs)
        explained = self.explain_records(records, **options)
        return explained[0] if _is_single(pictures) and not _is_collection(pictures) else explained

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
        context["facts"] = {"Model": self.name, "Pictures": str(self.tally)} | context["facts"]
        context["left_out"] = [*self.tally.lines, *context.get("left_out", ())]
        page = write_page(directory, first.template, **context)
        write_json(directory / "explanations.json", [explanation.to_dict() for explanation in explained])
        return page


def as_list(pictures: Picture | Sequence[Picture]) -> Sequence[Picture]:
    """Pictures, of which one may stand for itself; an array of four axes is as many pictures as its first is long."""
    return [pictures] if _is_single(pictures) else pictures


def _is_single(pictures: Any) -> bool:
    return isinstance(pictures, str | Path | Image.Image | bytes) or getattr(pictures, "ndim", 4) < 4


def _is_collection(picture: Any) -> bool:
    if not isinstance(picture, str | Path):
        return False
    return Path(picture).is_dir() or (Path(picture).suffix.lower() not in IMAGE_SUFFIXES and is_zip(Path(picture)))


def records_of(pictures: Sequence[Picture], tally: Tally, *, skip_bad: bool) -> list[Record]:
    """The pictures of files, folders, zips and ArrayRecord directories, and pictures at hand, in their order.

    UserError that names all that cannot be read, or, with `skip_bad`, a warning for each of them where others can;
    `tally` counts them.
    """
    readers = itertools.chain.from_iterable(_readers(n, picture, tally) for n, picture in enumerate(pictures, 1))
    return _readable(readers, tally, skip_bad)


def _readers(number: int, picture: Picture, tally: Tally) -> Iterator[Callable[[], Record]]:
    """Readers of a picture, or of all those of a folder or zip, however deep, or ArrayRecord directory."""
    if not isinstance(picture, str | Path):
        tally.found += 1
        tally.used += 1
        yield functools.partial(_at_hand, picture, f"picture {number}")
        return
    path = Path(picture)
    zipped = is_zip(path) or path.suffix.lower() == ".zip"
    if not path.is_dir() and (path.suffix.lower() in IMAGE_SUFFIXES or not zipped):
        tally.found += 1
        tally.used += 1
        yield functools.partial(_record, functools.partial(read_picture, path), str(path))
    elif is_array_records(path):
        for split in splits_of(path) or ("",):
            source = open_images(path, split=split)
            tally.opened(source)
            yield from (functools.partial(source.__getitem__, row) for row in range(len(source)))
    else:
        files = open_files(path)
        source = LabelledFiles(files, files.members, ("",) * len(files.members))
        tally.opened(source)
        yield from (functools.partial(source.__getitem__, row) for row in range(len(source)))


def _at_hand(picture: Any, name: str) -> Record:
    if isinstance(picture, Image.Image):
        image = np.asarray(in_rgb(picture))
    else:
        image = picture if isinstance(picture, bytes) else pixels_of(picture, name)
    return Record(image=image, category="", rationales=(), name=name)


def _record(read: Callable[[], bytes], name: str) -> Record:
    return Record(image=read(), category="", rationales=(), name=name)


def _readable(readers: Iterable[Callable[[], Record]], tally: Tally, skip_bad: bool) -> list[Record]:
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
    tally.skip(UNREADABLE, len(bad), lines=bad)
    tally.log()
    return records

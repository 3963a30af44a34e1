"""`open_images` and `splits_of`: image sets on disk (folder, zip, RecordIO, ArrayRecord, TFDS) as a `Source`."""

from collections.abc import Sequence
from pathlib import Path

from ecor_jax.data.array_records import CATEGORIES_FILE, ArrayRecords, is_array_records, splits_of_array_records
from ecor_jax.data.files import Files, composed, open_files
from ecor_jax.data.labelled_list import LabelledFiles, find_list, open_list
from ecor_jax.data.recordio import RecordIO
from ecor_jax.data.records import Source
from ecor_jax.data.tfds_sets import PREFIX, TfdsSet, dataset_dir, splits_of_set
from ecor_jax.data.vocabulary import distinct_names
from ecor_jax.errors import UserError, some_of

SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test")


def open_images(path: str | Path, *, split: str = "") -> Source:
    """Opens a folder tree, a zip, a `.rec`, or a directory of `ecor-jax prepare` or TFDS, always in the same order.

    A tree holds `class/image` or `class/rationale/image` (DROR, arXiv 2212.06202: the second folder names a rationale
    of the image). If all images are at the top level, their category is ''. A single folder around all classes is no
    class. A `label.txt` beside the images lists the images and their classes (`labelled_list.open_list`). Trees with
    a `label.txt` and `.rec` files (`recordio.RecordIO`) have no splits. Names are normalised; two names that coincide
    after normalisation are an error.

    Args:
        path: the folder, zip file, `.rec` file or ArrayRecord directory, or `tfds:NAME` (`tfds_sets.dataset_dir`).
            Zips are read in place, without unpacking.
        split: restricts the images to this top folder (`train`), or to this split of an ArrayRecord directory.

    Raises:
        UserError: the path is missing or of another kind; the zip is broken, encrypted or names a path outside itself;
            the `.rec` or its `.idx` is damaged; the split does not exist; a class cannot be determined; or there is no
            image.
    """
    path = _path(path)
    if is_array_records(path):
        return ArrayRecords(path, split) if (path / CATEGORIES_FILE).exists() else TfdsSet(path, split)
    if _is_recordio(path):
        if split:
            raise UserError(f"{path} has no split {split!r}: a .rec file has none")
        return RecordIO(path)
    files = open_files(path)
    if listing := find_list(files):
        if split:
            raise UserError(f"{path} has no split {split!r}: {listing} lists all its images")
        return open_list(files, listing)
    top = _common_prefix(files.members, split)
    if not split:
        if splits := _splits(files.members, top):
            raise UserError(f"{path} holds the splits {', '.join(splits)}: choose one (the option `split`)")
        return _by_folders(files, files.members, top)
    folder = _folder_of(files.members, top, split)
    members = [name for name in files.members if name.startswith(f"{top}{folder}/")]
    if not members:
        tops = sorted(_first_folders(files.members, top))
        raise UserError(f"{path} has no images in a folder {split!r}; at its top: {some_of(tops)}")
    return _by_folders(files, members, f"{top}{folder}/", split)


def splits_of(path: str | Path) -> tuple[str, ...]:
    """Returns the splits of an image set; () if there are fewer than two.

    The splits of a folder or zip are its top folders, if every one of them is named in SPLIT_NAMES. Raises UserError as
    `open_images` does.
    """
    path = _path(path)
    if is_array_records(path):
        splits = splits_of_array_records(path) if (path / CATEGORIES_FILE).exists() else splits_of_set(path)
        return splits if len(splits) > 1 else ()
    if _is_recordio(path):
        return ()
    files = open_files(path)
    return () if find_list(files) else _splits(files.members, _common_prefix(files.members, ""))


def has_split(path: str | Path, split: str) -> bool:
    """Returns whether an image set has a split of this name: a top folder, or a split of an ArrayRecord directory.

    Raises UserError as `open_images` does.
    """
    path = _path(path)
    if is_array_records(path):
        of_kind = splits_of_array_records if (path / CATEGORIES_FILE).exists() else splits_of_set
        return split in of_kind(path)
    if _is_recordio(path):
        return False
    files = open_files(path)
    top = _common_prefix(files.members, split)
    return not find_list(files) and _folder_of(files.members, top, split) is not None


def _path(path: str | Path) -> Path:
    return dataset_dir(str(path)) if str(path).startswith(PREFIX) else Path(path)


def _by_folders(files: Files, members: Sequence[str], top: str, split: str = "") -> LabelledFiles:
    """Labels image files by their folders below `top`: `class/image` or `class/rationale/image`."""
    labels = [name.removeprefix(top).split("/")[:-1] for name in members]
    depths = set(map(len, labels))
    if not (depths == {0} or depths <= {1, 2}):
        odd = next(name for name, folders in zip(members, labels, strict=True) if len(folders) not in (1, 2))
        raise UserError(
            f"{files.path}: expected class/image or class/rationale/image everywhere, or no folders; found {odd}"
        )
    where = f"{files.path}{f', below {top}' if top else ''}"
    names = distinct_names((folders[0] for folders in labels if folders), where)
    categories = [names[folders[0]] if folders else "" for folders in labels]
    shown: dict[str, set[str]] = {}
    for folders in labels:
        shown.setdefault("".join(folders[:1]), set()).update(folders[1:])
    texts = {name: distinct_names(sorted(own), f"{where}, {name}") for name, own in shown.items()}
    rationales = [tuple(texts[folders[0]][text] for text in folders[1:]) for folders in labels]
    return LabelledFiles(files, members, categories, rationales, top if split else "")


def _is_recordio(path: Path) -> bool:
    return path.suffix.lower() == ".rec" and not path.is_dir()


def _common_prefix(members: Sequence[str], split: str) -> str:
    """Returns the folders (with a trailing `/`) that contain all images and still leave each image in a subfolder."""
    top = ""
    while len(first := _first_folders(members, top)) == 1 and first != {split} and _depth(members, top) > 1:
        top += f"{first.pop()}/"
    return top


def _folder_of(members: Sequence[str], top: str, split: str) -> str | None:
    """Returns the folder below `top` that is the split, however its name is composed in Unicode; None without one."""
    folders = sorted(_first_folders(members, top))
    return next((name for name in folders if composed(name) == composed(split)), None)


def _splits(members: Sequence[str], top: str) -> tuple[str, ...]:
    first = _first_folders(members, top)
    return tuple(sorted(first)) if first <= set(SPLIT_NAMES) and _depth(members, top) > 1 else ()


def _first_folders(members: Sequence[str], top: str) -> set[str]:
    return {name.removeprefix(top).partition("/")[0] for name in members}


def _depth(members: Sequence[str], top: str) -> int:
    """Returns the minimum number of folders between `top` and an image."""
    return min(name.removeprefix(top).count("/") for name in members)

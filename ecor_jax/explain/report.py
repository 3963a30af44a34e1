"""The report of a run as a static page: `index.html` with its pictures beside it, readable offline."""

import errno
import shutil
from collections.abc import Sequence
from pathlib import Path

from ecor_jax.errors import UserError
from ecor_jax.explain.cards import picture_card
from ecor_jax.explain.page import GENERATOR, page
from ecor_jax.explain.pictures import load_picture, save_picture, shown_size
from ecor_jax.explain.records import ExplainedPicture, Report

PARTIAL = ".report.partial"


def write_report(report: Report, directory: Path) -> Path:
    """Writes `index.html` and `images/` into the directory and returns the path of the page.

    The page is built in full before an older report there is replaced; other files there are left alone. The
    same report always gives the same bytes.

    Raises UserError where the directory cannot be written, holds an `index.html` or `images` that is not a
    report, or where a picture cannot be read.
    """
    partial = directory / PARTIAL
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(directory)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            _build(report, partial)
            _replace(directory, partial)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        hint = "; free some space and run again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise UserError(f"{directory}: the report cannot be written ({error.strerror or error}){hint}") from error
    return directory / "index.html"


def write_explanations(pictures: Sequence[ExplainedPicture], directory: Path, title: str) -> Path:
    """Writes a page of explained pictures alone; see `write_report`."""
    intro = "What the model sees in each picture, and why."
    return write_report(Report(title=title, intro=intro, pictures=pictures), directory)


def _refuse_foreign(directory: Path) -> None:
    index = directory / "index.html"
    if index.is_file():
        ours = f'<meta name="generator" content="{GENERATOR}">' in index.read_text("utf-8", errors="replace")
    else:
        ours = not index.exists() and not (directory / "images").exists()
    if not ours:
        raise UserError(
            f"{directory}: has an index.html or images of its own, which the report would overwrite; "
            "name a new or empty directory"
        )


def _build(report: Report, folder: Path) -> None:
    cards = []
    if report.pictures:
        (folder / "images").mkdir()
    for index, picture in enumerate(report.pictures, start=1):
        loaded = load_picture(picture.image, picture.name)
        name = save_picture(loaded, folder / "images", f"{index:04d}")
        cards.append(picture_card(picture, f"picture-{index}", f"images/{name}", shown_size(loaded.size)))
    (folder / "index.html").write_text(page(report, cards), encoding="utf-8", newline="\n")


def _replace(directory: Path, partial: Path) -> None:
    """The page first: wherever this is cut short, the directory is known as a report and can be rewritten."""
    (partial / "index.html").replace(directory / "index.html")
    images = directory / "images"
    if images.exists():
        images.rename(partial / "old")
    if (partial / "images").exists():
        (partial / "images").rename(images)

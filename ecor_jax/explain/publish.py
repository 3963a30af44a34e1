"""A page's way onto the disk: whole, and over nothing that is not a page of ours."""

from collections.abc import Callable
from pathlib import Path

from ecor_jax.atomic import beside
from ecor_jax.errors import UserError
from ecor_jax.explain.document import GENERATOR
from ecor_jax.explain.html import Html


def publish(directory: Path, build: Callable[[Path], Html]) -> Path:
    """Writes the page that `build` makes, with the files it leaves in the folder it is given; returns its path.

    The page is built in full before an older one there is replaced; other files there are left alone.

    Raises UserError where the directory cannot be written, or holds an `index.html` or `images` that is not a page
    of ours.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{directory}: the report cannot be written ({error.strerror or error})") from error
    _refuse_foreign(directory)
    with beside(directory / "index.html") as partial:
        (partial / "index.html").write_text(build(partial), encoding="utf-8", newline="\n")
        _replace(directory, partial)
    return directory / "index.html"


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


def _replace(directory: Path, partial: Path) -> None:
    """The page first: wherever this is cut short, the directory is known as a report and can be rewritten."""
    (partial / "index.html").replace(directory / "index.html")
    images = directory / "images"
    if images.exists():
        images.rename(partial / "old")
    if (partial / "images").exists():
        (partial / "images").rename(images)

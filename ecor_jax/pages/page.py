"""Writes the pages of reports and explanations: a rendered template with its pictures, in a folder for offline use."""

import base64
import html
import io
import itertools
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import jinja2
from PIL import Image

from ecor_jax.atomic import temporary_folder
from ecor_jax.errors import UserError
from ecor_jax.pages import charts, heat, links, numbers

HERE = Path(__file__).parent
GENERATOR = '<meta name="generator" content="ecor_jax">'
"""A tag in every page, by which `write_page` recognises a page that it may overwrite."""
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that UTF-8 or HTML cannot represent, such as lone surrogates in file names, and characters that change
the writing direction and so can disguise a name."""
TINY = 128
"""Largest side in pixels of a picture that is saved losslessly (PNG); larger ones are saved as JPEG."""
LARGEST_FILE = 640
SMALLEST_SHOWN, LARGEST_SHOWN = 192, 320
OPTIONAL = {"kind": "", "intro": "", "facts": {}, "metrics": (), "commands": (), "notes": (), "left_out": ()}
"""Defaults of the context variables that every template may use."""


def write_page(directory: Path, template: str | Path, /, **context: Any) -> Path:
    """Writes `index.html` and its `images/` into the directory and returns the path of the page.

    template: the name of a built-in template, or the path of another, which may extend `base.html`. It is rendered with
      the context, which must contain `title`; with `picture`, a function that saves a PIL image and returns its
      `Shown` (exact: whether to keep every pixel and its transparency); with `m`, the macros of macros.html; and with
      the functions of `charts`, `heat` and `numbers`. All text is escaped.

    The page is complete before it replaces an older one; other files in the directory are kept. Equal contexts give
    equal bytes. Raises UserError if the directory cannot be written, or if it contains an `index.html` or `images` that
    this function did not write.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{directory}: the page cannot be written ({error.strerror or error})") from error
    _refuse_foreign(directory)
    with temporary_folder(directory / "index.html") as partial:
        text = _rendered(_Pictures(partial), template, OPTIONAL | context)
        (partial / "index.html").write_text(text, encoding="utf-8", newline="\n")
        # The page before the pictures, so that the directory can be overwritten after an interruption.
        (partial / "index.html").replace(directory / "index.html")
        if (directory / "images").exists():
            (directory / "images").rename(partial / "old")
        if (partial / "images").exists():
            (partial / "images").rename(directory / "images")
    return directory / "index.html"


def embedded(template: str | Path, /, **context: Any) -> str:
    """Returns a page as an HTML element for a notebook, with its pictures embedded.

    The element gets the height of the page when it is loaded. Where a notebook runs no scripts, its height can be
    dragged.
    """
    text = _rendered(_inline, template, OPTIONAL | context)
    fit = "this.style.height = this.contentDocument.documentElement.scrollHeight + 'px'"
    style = "width: 100%; height: 36em; border: 0; resize: vertical"
    return f'<iframe srcdoc="{html.escape(text)}" style="{style}" onload="{fit}"></iframe>'


def _rendered(pictures: Callable[..., "Shown"], template: str | Path, context: dict[str, Any]) -> str:
    own = [template.parent] if isinstance(template, Path) else []
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*own, HERE / "templates", HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    functions = {name: getattr(numbers, name) for name in numbers.FILTERS}
    environment.filters |= functions | {"filename": lambda path: PurePosixPath(path).name or str(path)}
    for module in (charts, heat, links):
        environment.globals |= {name: getattr(module, name) for name in module.FUNCTIONS}
    environment.globals |= functions
    environment.globals |= {"picture": pictures, "contents": [], "next_id": itertools.count(1).__next__}
    environment.globals["m"] = environment.get_template("macros.html").module
    name = template.name if isinstance(template, Path) else template
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", environment.get_template(name).render(context))


class Shown(NamedTuple):
    """The URL of a picture, relative to the page, and its size in CSS pixels."""

    src: str
    width: int
    height: int


class _Pictures:
    """Saves pictures in the folder as `images/0001.png`, `images/0002.jpg` and so on, each object once."""

    def __init__(self, folder: Path):
        self.folder = folder / "images"
        self.saved: dict[int, tuple[Image.Image, Shown]] = {}  # by id, which is unique while the object is kept

    def __call__(self, image: Image.Image, exact: bool = False) -> Shown:
        if id(image) not in self.saved:
            self.folder.mkdir(exist_ok=True)
            content, suffix, size = _published(image, exact)
            name = f"{len(self.saved) + 1:04d}{suffix}"
            (self.folder / name).write_bytes(content)
            self.saved[id(image)] = image, Shown(f"images/{name}", *size)
        return self.saved[id(image)][1]


def _inline(image: Image.Image, exact: bool = False) -> Shown:
    content, suffix, size = _published(image, exact)
    kind = "png" if suffix == ".png" else "jpeg"
    return Shown(f"data:image/{kind};base64,{base64.b64encode(content).decode()}", *size)


def _published(image: Image.Image, exact: bool) -> tuple[bytes, str, tuple[int, int]]:
    """Returns a picture's file content, suffix and size in CSS pixels, without metadata.

    exact: whether to keep every pixel and the transparency; otherwise pictures may be downscaled.
    """
    shown = image.copy() if exact or image.mode == "RGB" else image.convert("RGB")
    shown.info = {}  # metadata may contain the location and the photographer
    if not exact:
        shown.thumbnail((LARGEST_FILE, LARGEST_FILE), Image.Resampling.LANCZOS)
    longer, file = max(shown.size), io.BytesIO()
    exact = exact or longer <= TINY
    if exact:
        shown.save(file, "PNG", optimize=True)
    else:
        shown.save(file, "JPEG", quality=88)
    scale = min(max(longer, SMALLEST_SHOWN), LARGEST_SHOWN) / longer
    width, height = (max(1, round(side * scale)) for side in shown.size)
    return file.getvalue(), ".png" if exact else ".jpg", (width, height)


def _refuse_foreign(directory: Path) -> None:
    index = directory / "index.html"
    if index.is_file():
        ours = GENERATOR in index.read_text("utf-8", errors="replace")
    else:
        ours = not index.exists() and not (directory / "images").exists()
    if not ours:
        raise UserError(
            f"{directory}: has an index.html or images of its own, which the page would overwrite; "
            "name a new or empty directory"
        )

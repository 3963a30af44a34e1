"""`Explainer`, the interface of a loaded model that explains a user's pictures, for commands, Python and notebooks."""

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from ecor_jax.atomic import write_json
from ecor_jax.data.pictures import Picture, as_list, is_one, records_of
from ecor_jax.data.records import Record
from ecor_jax.data.tally import Tally
from ecor_jax.errors import UserError
from ecor_jax.pages.page import write_page
from ecor_jax.tasks.explanation import Explained

Explanation = TypeVar("Explanation", bound=Explained)


class Explainer(abc.ABC, Generic[Explanation]):
    """A loaded model that explains pictures.

    option_names: the options of `explain` besides the pictures. pairs: whether it explains two pictures at a time.
    """

    option_names: ClassVar[frozenset[str]] = frozenset()
    pairs: ClassVar[bool] = False
    name: str
    """The path or hub id of the model, for the page."""
    tally: Tally
    """Counts of the pictures of the last call of `explain`."""

    @abc.abstractmethod
    def explain_records(self, records: Sequence[Record], **options: Any) -> list[Explanation]:
        """Explains readable pictures: returns one explanation per picture, or per two if `pairs` is set."""

    def context(self, explained: Sequence[Explanation]) -> dict[str, Any]:
        """Returns further variables of the page's template, such as kind, intro and notes."""
        return {}

    def explain(self, pictures: Picture | Sequence[Picture], **options: Any) -> Any:
        """Returns the explanation of one picture, or a list of explanations for several, a folder or a zip.

        Raises UserError if no picture can be read or an option is not in `option_names`. Skipped pictures are logged.
        """
        self.check_options(options)
        self.tally = Tally()
        records = records_of(as_list(pictures), self.tally, skip_bad=not self.pairs)
        explained = self.explain_records(records, **options)
        return explained[0] if is_one(pictures) else explained

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raises UserError for an option that is not in `option_names`."""
        if unused := sorted(set(options) - self.option_names):
            what = "a pair of faces" if self.pairs else "what this model explains"
            raise UserError(f"--{unused[0]} has no meaning for {what}")

    def write(self, directory: Path, explained: Sequence[Explanation]) -> Path:
        """Writes a page of explanations, and explanations.json to the same folder; returns the path of the page."""
        first = explained[0]
        names = ", ".join(Path(name).name for name in first.names)
        title = names if len(explained) == 1 else f"{len(explained)} {first.shown_as}"
        context = {"title": title, "facts": {}, first.shown_as: explained} | self.context(explained)
        context["facts"] = {"Model": self.name, "Pictures": str(self.tally)} | context["facts"]
        context["left_out"] = [*self.tally.lines, *context.get("left_out", ())]
        page = write_page(directory, first.template, **context)
        write_json(directory / "explanations.json", [explanation.to_dict() for explanation in explained])
        return page

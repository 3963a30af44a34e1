"""The report of a verification run as a static page: `index.html` with its pictures beside it, readable offline."""

from pathlib import Path

from ecor_jax.explain.charts import drawable
from ecor_jax.explain.document import document
from ecor_jax.explain.html import Html
from ecor_jax.explain.pair_page import READING, pairs_part
from ecor_jax.explain.pair_style import PAIR_STYLE
from ecor_jax.explain.publish import publish
from ecor_jax.explain.records import Report
from ecor_jax.explain.sections import Part, commands_part, notes_part, training_part
from ecor_jax.explain.verification_records import VerificationReport
from ecor_jax.explain.verification_sections import accuracy_part, errors_part, kept_part


def write_verification_report(report: VerificationReport, directory: Path) -> Path:
    """Writes `index.html` and `images/` into the directory and returns the path of the page.

    It replaces an older report, leaves other files alone and raises UserError as `pair_page.write_pairs` does.
    """

    def build(folder: Path) -> Html:
        about = Report(title=report.title, intro=report.intro, dataset=report.dataset, facts=report.facts)
        return document(about, _parts(report, folder), PAIR_STYLE)

    return publish(directory, build)


def _parts(report: VerificationReport, folder: Path) -> list[Part]:
    parts = []
    if any(row.benchmarks for row in report.rows):
        parts += [accuracy_part(report.rows), errors_part(report.rows, report.roc)]
    elif report.roc:
        parts.append(errors_part((), report.roc))
    if report.pairs:
        parts.append(pairs_part(report.pairs, folder))
    kept, loss = drawable(report.kept), drawable(report.loss)
    if kept:
        parts.append(kept_part(kept))
    if loss:
        parts.append(training_part(loss, {}))
    if report.commands:
        parts.append(commands_part(report.commands))
    notes = [*report.notes, *(READING if report.pairs else ())]
    if notes:
        parts.append(notes_part(notes))
    return parts

"""The report of a diagnosis run as a static page: `index.html` with its images beside it, readable offline."""

from pathlib import Path

from ecor_jax.explain.charts import drawable
from ecor_jax.explain.diagnosis_agreement import agreement_part
from ecor_jax.explain.diagnosis_records import DiagnosisReport
from ecor_jax.explain.diagnosis_sections import calibration_part, errors_part, kept_part, scores_part
from ecor_jax.explain.html import Html
from ecor_jax.explain.publish import publish
from ecor_jax.explain.records import Report
from ecor_jax.explain.sections import Part, commands_part, notes_part, training_part
from ecor_jax.explain.study_page import READING, diagnosis_document, studies_part
from ecor_jax.explain.weights_section import weights_part


def write_diagnosis(report: DiagnosisReport, directory: Path) -> Path:
    """Writes `index.html` and `images/` into the directory and returns the path of the page.

    It replaces an older report, leaves other files alone and raises UserError as `study_page.write_studies` does.
    """

    def build(folder: Path) -> Html:
        about = Report(title=report.title, intro=report.intro, dataset=report.dataset, facts=report.facts)
        return diagnosis_document(about, _parts(report, folder))

    return publish(directory, build)


def _parts(report: DiagnosisReport, folder: Path) -> list[Part]:
    parts = []
    if any(row.findings for row in report.rows):
        parts.append(scores_part(report.rows, report.average, report.differences))
    curves = {name: {row: curve for row, curve in found.items() if curve} for name, found in report.roc.items()}
    curves = {name: found for name, found in curves.items() if found}
    if curves:
        parts.append(errors_part(report.rows, curves))
    if report.calibration:
        parts.append(calibration_part(report.calibration))
    if report.studies:
        parts.append(studies_part(report.studies, folder))
    if report.weights:
        parts.append(weights_part(report.weights))
    if kept := kept_part(report.kept_accuracy, report.kept_auroc):
        parts.append(kept)
    if report.agreement is not None:
        parts.append(agreement_part(report.agreement))
    if loss := drawable(report.loss):
        parts.append(training_part(loss, {}))
    if report.commands:
        parts.append(commands_part(report.commands))
    notes = [*report.notes, *(READING if report.studies else ())]
    if notes:
        parts.append(notes_part(notes))
    return parts

"""Chest X-rays on disk as `Studies`."""

from pathlib import Path

from ecor_jax.data.files import open_files, open_texts
from ecor_jax.errors import UserError
from ecor_jax.radiology.xray.mimic import open_mimic
from ecor_jax.radiology.xray.nih import open_nih
from ecor_jax.radiology.xray.studies import OnMissing, Studies


def open_studies(
    images: str | Path, tables: str | Path, *, reports: str | Path = "", on_missing: OnMissing = "error"
) -> Studies:
    """The images of studies that tables list, in the order of the tables.

    Args:
        images: a folder or zip, however deep. Of MIMIC-CXR-JPG the root that holds
            files/p10/p10000032/s50414267/<dicom>.jpg (or .dcm, MIMIC-CXR's own), or any folder in it.
        tables: NIH's labels, a `.csv` or `.csv.gz` with the columns `nih.COLUMNS`; or the folder with
            mimic-cxr-2.0.0-{chexpert,split,metadata}.csv or .csv.gz, of which split may be missing.
        reports: folder or zip that holds files/p10/p10000032/s50414267.txt; '' where it is `images`, or there are
            none. Reports are read when `Studies.reports` is first asked for.
        on_missing: what becomes of listed images that do not exist: an error, or left out.

    Images and rows without a partner are left out: counted and named in the log, and all in `Studies.left_out`.

    Raises UserError for a path that is missing or of another kind, a table that is damaged, lacks a column or has a
    wrong cell (naming the line), an image or study that is listed or there twice, listed images that do not exist,
    tables of which nothing joins, and a patient in two official splits.
    """
    images, tables = Path(images), Path(tables)
    files = open_files(images)
    if tables.is_dir():
        report_files = open_texts(Path(reports)) if reports else files
        return open_mimic(files, tables, report_files, on_missing)
    if reports:
        raise UserError(f"{tables} is one table, as NIH's: expected no path to reports, found {reports}")
    return open_nih(files, tables, on_missing)

"""`open_studies`: opens chest X-ray data sets (NIH ChestX-ray14, MIMIC-CXR-JPG) as `Studies`."""

from pathlib import Path

from ecor_jax.data.files import open_files, open_texts
from ecor_jax.errors import UserError
from ecor_jax.radiology.xray.mimic import open_mimic
from ecor_jax.radiology.xray.nih import open_nih
from ecor_jax.radiology.xray.studies import OnMissing, Studies


def open_studies(
    images: str | Path, tables: str | Path, *, reports: str | Path = "", on_missing: OnMissing = "error"
) -> Studies:
    """Opens the images that tables list, in the order of the tables.

    Args:
        images: a folder or zip, searched at any depth. For MIMIC-CXR-JPG, the root that contains
            files/p10/p10000032/s50414267/<dicom>.jpg (or .dcm, as in MIMIC-CXR), or any folder in it.
        tables: NIH's labels, a `.csv` or `.csv.gz` with the columns `nih.COLUMNS`; or the folder with
            mimic-cxr-2.0.0-{chexpert,split,metadata}.csv or .csv.gz, of which split may be missing.
        reports: the folder or zip that contains files/p10/p10000032/s50414267.txt; '' if it is `images`, or if there
            are none. Reports are read on the first access to `Studies.reports`.
        on_missing: whether listed images that do not exist are an error or skipped.

    Images and rows without a counterpart are skipped: the log states their number and ten of their names, and
    `Studies.left_out` lists all of them.

    Raises UserError if a path is missing or of another kind; if a table is damaged, lacks a column or has an invalid
    cell (naming the line); if an image or study is listed or exists twice; if listed images do not exist; if no rows of
    the tables join; or if a patient is in two official splits.
    """
    images, tables = Path(images), Path(tables)
    files = open_files(images)
    if tables.is_dir():
        report_files = open_texts(Path(reports)) if reports else files
        return open_mimic(files, tables, report_files, on_missing)
    if reports:
        raise UserError(f"{tables} is one table, as NIH's: expected no path to reports, found {reports}")
    return open_nih(files, tables, on_missing)

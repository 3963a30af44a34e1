"""The folders and zips of tests of data."""

from tests.data.conftest import make, make_folder, make_zip

__all__ = ["make", "make_folder", "make_zip"]

"""What an optional package that is missing says."""

import sys

import pytest

from ecor_jax.data.dicom import decode
from ecor_jax.data.records import BadImage
from ecor_jax.errors import UserError, needs
from ecor_jax.radiology.reports.text_overlap import text_overlap

WHERE = {
    "pydicom": lambda: decode(bytes(128) + b"DICM", "a film"),
    "rouge_score": lambda: text_overlap([["heart"]], [["heart"]]),
    "nltk": lambda: text_overlap([["heart"]], [["heart"]]),
}


@pytest.mark.parametrize("package", WHERE)
def test_a_missing_package_names_the_extra_to_install(package, monkeypatch):
    needs(package, "xray")
    monkeypatch.setitem(sys.modules, package, None)
    message = f'this needs {package}, which is not installed: pip install "ecor-jax[xray]"'
    with pytest.raises(UserError) as caught:
        WHERE[package]()
    assert str(caught.value) == message and not isinstance(caught.value, BadImage)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.radiology.reports.sections import report_text, sections

# In the shape of a MIMIC-CXR report; the words are ours.
WHOLE = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)
 
 INDICATION:  ___ year old woman with cough  // pneumonia?
 
 COMPARISON:  ___
 
 FINDINGS: 
 
 The lungs are clear.  There is no effusion.
 The heart is normal.
 
 IMPRESSION: 
 
 No acute disease.
"""


def test_whole_report():
    assert sections(WHOLE) == (
        ("final report", ""),
        ("examination", "CHEST (PA AND LAT)"),
        ("indication", "___ year old woman with cough  // pneumonia?"),
        ("comparison", "___"),
        ("findings", "The lungs are clear.  There is no effusion.\n The heart is normal."),
        ("impression", "No acute disease."),
    )
    findings, impression = (text for _, text in sections(WHOLE)[-2:])
    assert report_text(WHOLE) == impression
    assert report_text(WHOLE, "findings+impression") == f"{findings}\n\n{impression}"


@pytest.mark.parametrize(
    ("text", "last", "both"),
    [
        (" Findings : clear lungs.\n impression:no disease", "no disease", "clear lungs.\n\nno disease"),
        (" IMPRESSION :\n\n scar", "scar", "scar"),
        (" FINDINGS AND IMPRESSION:\n clear", "clear", "clear"),
        (" Impression/Findings: clear", "clear", "clear"),
        (" FINDINGS\n clear lungs\n\n IMPRESSION\n scar", "scar", "clear lungs\n\nscar"),
        # Of several of one name the last that says something.
        (" IMPRESSION: old\n\n IMPRESSION: new", "new", "new"),
        (" IMPRESSION: old\n\n IMPRESSION:  \n", "old", "old"),
        # An empty impression: the findings.
        (" FINDINGS: clear\n IMPRESSION:\n", "clear", "clear"),
        # Two headers in one line.
        (" COMPARISON: None. FINDINGS: clear. IMPRESSION: scar", "scar", "clear.\n\nscar"),
        # Parts of the findings are no sections.
        (" FINDINGS:\n LUNGS: clear\n HEART: large\n\n IMPRESSION: x", "x", "LUNGS: clear\n HEART: large\n\nx"),
        # Neither: what follows the first blank line of the last section.
        (" HISTORY: cough.\n \n Lungs clear.\n \n No mass.\n", *["Lungs clear.\n \n No mass."] * 2),
        (" PORTABLE CHEST: The lungs are clear.", *["The lungs are clear."] * 2),
        (" FINAL REPORT\n The lungs are clear.", *["The lungs are clear."] * 2),
        ("The lungs are clear.", *["The lungs are clear."] * 2),
        (" FINDINGS: clear\r\n\r\n IMPRESSION: scar\r\n", "scar", "clear\n\nscar"),
        # Words of a sentence are no headers.
        (" FINDINGS: As in it: scar.\n The impression: none", *["As in it: scar.\n The impression: none"] * 2),
        # A report without a section that describes a picture, and an empty one.
        (" INDICATION: cough\n COMPARISON: ___", "", ""),
        ("", "", ""),
        (" \n\t\n", "", ""),
    ],
)
def test_odd_reports(text, last, both):
    assert report_text(text) == last
    assert report_text(text, "findings+impression") == both


@pytest.mark.parametrize("header", ["LINES AND TUBES", "SUPPORT DEVICES", "TUBES/LINES", "DEVICES", "OTHER"])
def test_other_headers_are_content_of_findings_and_impression(header):
    findings = f"LUNGS: clear.\n {header}: A port.\n HEART: normal."
    impression = f"No effusion.\n {header}: A port."
    text = f" INDICATION: cough\n FINDINGS:\n {findings}\n\n IMPRESSION: {impression}\n\n RECOMMENDATION(S): CT."
    described = ("findings", findings), ("impression", impression)
    assert sections(text) == (("indication", "cough"), *described, ("recommendation(s)", "CT."))
    assert report_text(f" FINDINGS: {findings}\n COMPARISON: None.\n ADDENDUM: Late.") == findings
    # Outside of them it is a section of its own.
    assert sections(f" TECHNIQUE: AP\n {header}: A port.")[0] == ("technique", "AP")


@given(st.lists(st.sampled_from([" FINDINGS:", "IMPRESSION", "impression :", "A b c.", "\n", " ", "XY Z:", "___"])))
def test_any_text_is_read(pieces):
    text = "\n".join(pieces)
    for which in ("last", "findings+impression"):
        described = report_text(text, which)
        assert described == described.strip()
        assert all(word in text for word in described.split())
    assert all(name == name.lower().strip() for name, _ in sections(text))

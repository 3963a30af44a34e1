from ecor_jax.radiology.reports.statements import Statement
from ecor_jax.radiology.reports.table import Descriptor, descriptors

REPORTS = [
    (Statement("effusion", "absent", "pleura"), Statement("scar", "present", "lungs")),
    (Statement("effusion", "absent", "pleura"), Statement("effusion", "present", "pleura")),
    (Statement("effusion", "uncertain", "pleura"), Statement("mass, left", "present", "lungs")),
    (),
]
TABLE = (
    Descriptor("effusion", "pleura", present=1, negated=2, uncertain=1),
    Descriptor("mass, left", "lungs", present=1, negated=0, uncertain=0),
    Descriptor("scar", "lungs", present=1, negated=0, uncertain=0),
)


def test_counts_by_hand():
    assert descriptors(REPORTS) == TABLE
    assert TABLE[0].count == 4
    assert descriptors([]) == ()
    # A report that says one thing twice says it once.
    assert descriptors([[REPORTS[0][0]] * 2]) == (Descriptor("effusion", "pleura", 0, 1, 0),)

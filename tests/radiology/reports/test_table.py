from ecor_jax.radiology.reports.statements import Statement
from ecor_jax.radiology.reports.table import Descriptor, descriptors

SCAR, MASS = Statement("scar", "present", "lungs"), Statement("mass, left", "present", "lungs")
SEEN, NONE, MAYBE = (Statement("effusion", status, "pleura") for status in ("present", "absent", "uncertain"))


def test_what_a_report_says_is_counted_once_and_the_most_frequent_comes_first():
    table = descriptors([(NONE, SCAR, SCAR), (NONE, SEEN), (MAYBE, MASS), ()])
    effusion = Descriptor("effusion", "pleura", present=1, negated=2, uncertain=1)
    assert table == (effusion, Descriptor("mass, left", "lungs", 1, 0, 0), Descriptor("scar", "lungs", 1, 0, 0))
    assert effusion.count == 4 and descriptors([]) == ()

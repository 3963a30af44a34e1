import pytest

from ecor_jax.reports.words import group_of


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("calcified granuloma in right upper lobe", "lungs"),
        ("Bibasilar Atelectasis", "lungs"),
        ("pleural effusion", "pleura"),
        ("blunting of left costophrenic angle", "pleura"),
        ("pericardial effusion", "heart"),
        ("normal heart size", "heart"),
        ("normal cardiomediastinal silhouette", "mediastinum"),
        ("tortuous aorta", "vessels"),
        ("mild degenerative changes of thoracic spine", "bones"),
        ("elevation of right hemidiaphragm", "diaphragm"),
        # The head decides before the place: a catheter in an atrium, free air below a diaphragm.
        ("catheter tip in right atrium", "devices"),
        ("opacity overlying heart", "lungs"),
        ("free intraperitoneal air under diaphragm", "abdomen"),
        ("changes in spine", "bones"),
        ("acute disease", "other"),
        ("", "other"),
    ],
)
def test_group(text, group):
    assert group_of(text) == group

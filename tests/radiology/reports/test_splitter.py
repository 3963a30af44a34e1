"""Hand-worked reports; the sentences are ours, in the manner of a radiologist's."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.radiology.reports.clauses import sentences
from ecor_jax.radiology.reports.splitter import split
from ecor_jax.radiology.reports.statements import GROUPS, STATUSES
from ecor_jax.radiology.reports.words import group_of

SIGNS = {"present": "+", "absent": "-", "uncertain": "?"}


def said(text: str) -> list[str]:
    """The statements of a text in short: "-pleural effusion" is absent."""
    return [SIGNS[statement.status] + statement.text for statement in split(text)]


# A report, and its statements in short; one without statements gives none.
CASES = """
# predicates
The heart size is normal. => +normal heart size
Heart size normal. => +normal heart size
The cardiac silhouette is within normal limits. => +normal cardiac silhouette
The heart is normal in size and contour. => +normal heart size, +normal heart contour
Heart and mediastinum are normal. => +normal heart, +normal mediastinum
Heart is mildly enlarged and the lungs are clear. => +mildly enlarged heart, +clear lungs
The lungs are hyperexpanded but clear. => +hyperexpanded lungs, +clear lungs
No effusion and the lungs are hyperexpanded but clear. => -effusion, +hyperexpanded lungs, +clear lungs
Lungs: clear. Bones: No fracture. => +clear lungs, -fracture
The aorta demonstrates calcifications. => +calcifications of aorta
Calcified granuloma in the right upper lobe. => +calcified granuloma in right upper lobe
A nodule is seen in the left apex. => +nodule in left apex
Scar in the left base, otherwise the lungs are clear. => +scar in left base, +clear lungs
Heart size is normal for technique, low lung volumes. => +normal heart size, +low lung volumes
# negation
No effusion or pneumothorax. => -effusion, -pneumothorax
There is no focal airspace disease, effusion, or mass. => -focal airspace disease, -effusion, -mass
No evidence of pneumonia. => -pneumonia
Negative for fracture. => -fracture
Lungs are clear without effusion. => +clear lungs, -effusion
The lungs are free of infiltrate. => -infiltrate
The effusion has resolved. => -effusion
Pleural effusion is not seen. => -pleural effusion
The heart is not enlarged. => -enlarged heart
No effusion is identified on the lateral view. => -effusion
The bones are without acute abnormality. => -acute abnormality of bones
# what looks like a negation and is none: of the course, of the size
No interval change in the small right pleural effusion. => +small right pleural effusion
No significant interval improvement in pulmonary edema. => +pulmonary edema
Not only a left effusion but also atelectasis. => +left effusion, +atelectasis
No increase in the right pneumothorax. => +right pneumothorax
No decrease in the effusion. => +effusion
Without change in cardiomegaly. => +cardiomegaly
No resolution of the pneumonia. => +pneumonia
There is no change in the bilateral opacities. => +bilateral opacities
No improvement in the left basilar opacity. => +left basilar opacity
No progression of the edema. => +edema
No worsening of the edema. => +edema
No evidence of improvement of edema. => +edema
Left lower lobe nodule no larger than 4 mm. => +left lower lobe nodule
Nodule no greater than 5 mm in the right apex. => +nodule in right apex
Nodule not larger than before. => +nodule
No less than three rib fractures. => +three rib fractures
No fewer than two nodules. => +two nodules
No more than mild cardiomegaly. => +mild cardiomegaly
The effusion is not significantly changed. => +effusion
Effusion has not changed. => +effusion
Effusion is not changed. => +effusion
The effusion is no worse. => +effusion
No further increase in effusion. => +effusion
Moderate if not severe cardiomegaly. => +moderate cardiomegaly
Not necessarily pneumonia. => ?pneumonia
The opacity has not increased. => +opacity
Opacity not decreased in size. => +opacity
Effusion persists without improvement. => +effusion
Edema without significant interval improvement. => +edema
Pneumothorax is no smaller. => +pneumothorax
No complete resolution of the effusion. => +effusion
Effusion is not completely resolved. => +effusion
Incomplete resolution of the effusion. => +effusion
# what does not look like a negation and is one
Lungs are devoid of infiltrates. => -infiltrates
Pneumothorax is excluded. => -pneumothorax
Pneumonia ruled out. => -pneumonia
The effusion has disappeared. => -effusion
The effusion is gone. => -effusion
Failed to demonstrate pneumothorax. => -pneumothorax
The examination fails to reveal pneumonia. => -pneumonia
Resolved pneumonia. => -pneumonia
Resolved left effusion. => -left effusion
Absent effusion. => -effusion
Interval clearing of the opacity. => -opacity
Complete resolution of the edema. => -edema
Nil effusion. => -effusion
Nothing to suggest pneumonia. => -pneumonia
None of the ribs are fractured. => -fractured ribs
Effusion is not evident. => -effusion
Effusion is not appreciated. => -effusion
Pneumothorax: none. => -pneumothorax
Effusion: none seen. => -effusion
Effusion: no. => -effusion
Pleural effusion - none. => -pleural effusion
PNEUMOTHORAX: None. => -pneumothorax
Heart is without enlargement. => -enlargement
The effusion is nonexistent. => -effusion
Neither effusion nor pneumothorax. => -effusion, -pneumothorax
The lungs are clear of consolidation. => -consolidation
No longer any effusion. => -effusion
There is no longer a pneumothorax. => -pneumothorax
The pneumothorax is no longer visible. => -pneumothorax
Opacities have cleared. => -opacities
Nonvisualization of the effusion. => -effusion
Effusion cannot be seen. => -effusion
Effusion cannot be identified. => -effusion
I do not see an effusion. => -effusion
No definite effusion. => -effusion
No obvious pneumothorax. => -pneumothorax
No sign of pneumonia. => -pneumonia
Lungs unremarkable for pneumonia. => -pneumonia
Lungs free from effusion. => -effusion
No suspicious nodule, effusion unchanged. => -suspicious nodule, +effusion
Effusion is absent. => -effusion
Without pneumothorax or effusion. => -pneumothorax, -effusion
Lacks consolidation. => -consolidation
Lungs lack consolidation. => -consolidation
The heart lacks enlargement. => -enlargement
Effusion, not present on prior, is seen. => +effusion
Aorta not dilated. => -dilated aorta
Not enlarged heart. => -enlarged heart
Negative for effusion but positive for edema. => -effusion, +edema
No acute change in chronic effusion. => +chronic effusion
No abnormality other than cardiomegaly. => -abnormality, +cardiomegaly
Nothing but atelectasis. => +atelectasis
No doubt a pneumonia. => +pneumonia
Cannot see a pneumothorax. => -pneumothorax
The pneumothorax could not be seen. => -pneumothorax
# The scope of a negation ends at "but", at ";", at a clause with its own subject
No effusion but there is a nodule in the left lung. => -effusion, +nodule in left lung
No effusion, but mild cardiomegaly. => -effusion, +mild cardiomegaly
Opacity may represent scar but small effusion is seen. => +opacity, ?scar, +small effusion
No effusion; cardiomegaly. => -effusion, +cardiomegaly
No effusion is seen and the heart is normal. => -effusion, +normal heart
No nodules other than a granuloma. => -nodules, +granuloma
No opacity to suggest pneumonia. => -opacity, -pneumonia
Neither effusion nor pneumothorax is seen. => -effusion, -pneumothorax
# what is unlikely is absent, as to NegEx
Pneumothorax unlikely. => -pneumothorax
Pneumonia is thought to be unlikely at this time. => -pneumonia
Opacity is unlikely to represent pneumonia. => +opacity, -pneumonia
# no negation
No doubt about the large effusion. => +large effusion
There is no doubt that there is a large effusion. => +large effusion
The pneumothorax has not yet completely resolved. => +pneumothorax
The effusion is not resolved. => +effusion
The catheter has not been removed. => +catheter
# doubt
Cannot exclude pneumonia. => ?pneumonia
Pneumonia cannot be excluded. => ?pneumonia
Pneumonia has not been excluded. => ?pneumonia
Pneumonia must be ruled out. => ?pneumonia
Pneumonia is less likely. => ?pneumonia
Possible pleural effusion. => ?pleural effusion
Opacity may represent pneumonia. => +opacity, ?pneumonia
Opacity suggestive of atelectasis or scar. => +opacity, ?atelectasis, ?scar
Atelectasis versus infiltrate. => ?atelectasis, ?infiltrate
Hyperinflated lungs, scar or atelectasis. => +hyperinflated lungs, ?scar, ?atelectasis
Opacity is likely pneumonia. => +opacity, ?pneumonia
Opacity consistent with pneumonia. => +opacity, +pneumonia
# coordination
Right and left pleural effusions. => +right pleural effusions, +left pleural effusions
No acute bony or soft tissue abnormality. => -acute bony abnormality, -acute soft tissue abnormality
Mediastinal and hilar contours are normal. => +normal mediastinal contours, +normal hilar contours
Granulomas in the right base and left apex. => +granulomas in right base, +granulomas in left apex
Normal heart size and mediastinal contours. => +normal heart size, +normal mediastinal contours
Heavily calcified and mildly tortuous aorta. => +heavily calcified aorta, +mildly tortuous aorta
No acute, displaced fracture. => -acute displaced fracture
Right midlung and left basilar opacities. => +right midlung opacities, +left basilar opacities
# what is left out
Recommend CT for further evaluation. =>
PA and lateral views of the chest were obtained. =>
Nodule, recommend CT. => +nodule
Rule out pneumonia. =>
Evaluate for effusion. =>
Evaluate for effusion, no effusion is seen. => -effusion
Opacity, rule out pneumonia. => +opacity
Stable cardiomegaly. => +cardiomegaly
Effusion, unchanged compared to the prior study. => +effusion
The mediastinum is stable. =>
No significant interval change. =>
Comparison: None. =>
Chest. Normal. 2. =>
XXXX are normal. ___ is seen. =>
Calcified XXXX granuloma at ___. => +calcified granuloma
# once
No effusion. No effusion. Effusion. => -effusion, +effusion
 =>
XXXX ___ . =>
"""


@pytest.mark.parametrize("case", [line for line in CASES.splitlines() if "=>" in line])
def test_by_hand(case):
    text, _, expected = case.partition("=>")
    assert ", ".join(said(text)) == expected.strip()


GROUP = {
    "calcified granuloma in right upper lobe": "lungs",
    "opacity overlying heart": "lungs",
    "pleural effusion": "pleura",
    "blunting of left costophrenic angle": "pleura",
    "pericardial effusion": "heart",
    "normal cardiomediastinal silhouette": "mediastinum",
    "tortuous aorta": "vessels",
    "changes in spine": "bones",
    "elevation of right hemidiaphragm": "diaphragm",
    # The head decides before the place: a catheter in an atrium, free air below a diaphragm.
    "catheter tip in right atrium": "devices",
    "free intraperitoneal air under diaphragm": "abdomen",
    "acute disease": "other",
}


def test_groups():
    assert {text: group_of(text) for text in GROUP} == GROUP


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "1. The heart is big. 2. No 2.5 cm mass (none) vs. scar; XXXX rib 7. The end",
            ["heart is big", "no 2.5 cm mass vs. scar", "xxxx rib 7", "end"],
        ),
        ("Clear lungs\nand heart.\n\nNo mass No effusion", ["clear lungs and heart", "no mass", "no effusion"]),
        ("LUNGS: clear\n LINES AND TUBES: none\nin place", ["lungs : clear", "lines and tubes : none in place"]),
        ("", []),
        (" \n ..", []),
    ],
)
def test_sentences(text, expected):
    assert sentences(text) == expected


WORDS = (
    "no without the heart lungs is are clear normal and or , . ; : effusion opacity right left acute bony disease may "
    "represent versus cannot exclude XXXX ___ stable since prior 2. 3.5 cm (mild) of in free not seen but recommend "
    "unlikely neither nor has been excluded yet doubt"
)


@given(st.lists(st.sampled_from(WORDS.split()), max_size=25).map(" ".join) | st.text(max_size=60))
def test_any_text_gives_statements_in_normal_form(text):
    statements = split(text)
    assert len({(statement.text, statement.status) for statement in statements}) == len(statements)
    for statement in statements:
        assert statement.text and statement.text == " ".join(statement.text.lower().split())
        assert not {"the", "a", "an", "xxxx", "___"} & set(statement.text.split())
        assert statement.status in STATUSES and statement.group in GROUPS
    assert split(text) == statements


@pytest.mark.parametrize("word", ["heart", "no", "and", "normal ,", "but clear", "right or", "may represent", "."])
def test_long_nonsense_takes_no_long_time(word):
    start = time.monotonic()
    split(" ".join([word] * 1000))
    assert time.monotonic() - start < 10

"""Hand-worked reports; the sentences are ours, in the manner of a radiologist's."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecor_jax.radiology.reports.clauses import sentences
from ecor_jax.radiology.reports.splitter import split
from ecor_jax.radiology.reports.statements import GROUPS, STATUSES
from ecor_jax.radiology.reports.words import group_of

# A report, and its statements in short; one without statements gives none. {a|b} stands for a in one and b in another.
CASES = """
# predicates
{The heart size is|Heart size} normal. => +normal heart size
The cardiac silhouette is within normal limits. => +normal cardiac silhouette
The heart is normal in size and contour. => +normal heart size, +normal heart contour
Heart and mediastinum are normal. => +normal heart, +normal mediastinum
Heart is mildly enlarged and the lungs are clear. => +mildly enlarged heart, +clear lungs
No effusion and the lungs are hyperexpanded but clear. => -effusion, +hyperexpanded lungs, +clear lungs
Lungs: clear. Bones: No fracture. => +clear lungs, -fracture
The aorta demonstrates calcifications. => +calcifications of aorta
Calcified granuloma in the right upper lobe. => +calcified granuloma in right upper lobe
A nodule is seen in the left apex. => +nodule in left apex
Scar in the left base, otherwise the lungs are clear. => +scar in left base, +clear lungs
Heart size is normal for technique, low lung volumes. => +normal heart size, +low lung volumes
# negation
{No effusion or|Neither effusion nor|Without effusion or} pneumothorax. => -effusion, -pneumothorax
Neither effusion nor pneumothorax is seen. => -effusion, -pneumothorax
There is no focal airspace disease, effusion, or mass. => -focal airspace disease, -effusion, -mass
{No evidence of|Negative for|No definite|No obvious|No sign of} effusion. => -effusion
{The lungs are free of|Lungs free from|Lungs are devoid of|Lungs unremarkable for} infiltrates. => -infiltrates
{The lungs are clear of|Lungs lack|Lacks|The examination fails to reveal} consolidation. => -consolidation
{Failed to demonstrate|Cannot see a|I do not see a|There is no longer a|No longer any} mass. => -mass
{Resolved|Absent|Nil|Nothing to suggest|Interval clearing of the} pneumonia. => -pneumonia
{Complete resolution of the|Nonvisualization of the|Resolved} left effusion. => -left effusion
The effusion is {not seen|not evident|not appreciated|gone|nonexistent|absent|excluded}. => -effusion
The effusion {has resolved|has disappeared|is no longer visible|cannot be seen|could not be seen}. => -effusion
Effusion{ ruled out|: none|: none seen|: no| - none| cannot be identified}. => -effusion
PNEUMOTHORAX: None. => -pneumothorax
Opacities have cleared. => -opacities
No effusion is identified on the lateral view. => -effusion
Lungs are clear without effusion. => +clear lungs, -effusion
{The heart is not enlarged|Not enlarged heart}. => -enlarged heart
{Heart is without|The heart lacks} enlargement. => -enlargement
Aorta not dilated. => -dilated aorta
None of the ribs are fractured. => -fractured ribs
The bones are without acute abnormality. => -acute abnormality of bones
No suspicious nodule, effusion unchanged. => -suspicious nodule, +effusion
Negative for effusion but positive for edema. => -effusion, +edema
# what looks like a negation and is none: of the course, of the size
{No interval change in the|Without change in|There is no change in the} small right effusion. => +small right effusion
No {increase in the|further increase in|decrease in the|improvement in the} bilateral opacities. => +bilateral opacities
No {significant interval improvement in|evidence of improvement of|worsening of the} edema. => +edema
{No progression of the|No resolution of the|No complete resolution of the|Incomplete resolution of the} edema. => +edema
The effusion {has not changed|is not changed|is not significantly changed|is no worse|is no smaller}. => +effusion
The effusion {is not resolved|is not completely resolved|has not yet completely resolved}. => +effusion
The opacity {has not increased|not decreased in size}. => +opacity
Edema {persists without improvement|without significant interval improvement}. => +edema
The catheter has not been removed. => +catheter
No acute change in chronic effusion. => +chronic effusion
Effusion, not present on prior, is seen. => +effusion
Left lower lobe nodule no larger than 4 mm. => +left lower lobe nodule
Nodule no greater than 5 mm in the right apex. => +nodule in right apex
Nodule not larger than before. => +nodule
No {less|fewer|more} than three rib fractures. => +three rib fractures
Moderate if not severe cardiomegaly. => +moderate cardiomegaly
Nothing but atelectasis. => +atelectasis
Not only a left effusion but also atelectasis. => +left effusion, +atelectasis
{No doubt about the|There is no doubt that there is a|No doubt a} large effusion. => +large effusion
# The scope of a negation ends at "but", at ";", at a clause with its own subject
No effusion but there is a nodule in the left lung. => -effusion, +nodule in left lung
No effusion{, but|;} mild cardiomegaly. => -effusion, +mild cardiomegaly
Opacity may represent scar but small effusion is seen. => +opacity, ?scar, +small effusion
No effusion is seen and the heart is normal. => -effusion, +normal heart
No nodules other than a granuloma. => -nodules, +granuloma
No opacity to suggest pneumonia. => -opacity, -pneumonia
# what is unlikely is absent, as to NegEx
Pneumonia {unlikely|is thought to be unlikely at this time}. => -pneumonia
Opacity is unlikely to represent pneumonia. => +opacity, -pneumonia
# doubt
{Cannot exclude|Possible|Not necessarily} pneumonia. => ?pneumonia
Pneumonia {cannot be excluded|has not been excluded|must be ruled out|is less likely}. => ?pneumonia
Opacity {may represent|is likely} pneumonia. => +opacity, ?pneumonia
Opacity suggestive of atelectasis or scar. => +opacity, ?atelectasis, ?scar
Atelectasis versus infiltrate. => ?atelectasis, ?infiltrate
Hyperinflated lungs, scar or atelectasis. => +hyperinflated lungs, ?scar, ?atelectasis
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
{Recommend CT for further evaluation|PA and lateral views of the chest were obtained|Rule out pneumonia}. =>
{Evaluate for effusion|The mediastinum is stable|No significant interval change|Comparison: None|Chest. Normal. 2}. =>
{XXXX are normal. ___ is seen|XXXX ___ |}. =>
Nodule, recommend CT. => +nodule
Evaluate for effusion, no effusion is seen. => -effusion
Opacity, rule out pneumonia. => +opacity
Stable cardiomegaly. => +cardiomegaly
Effusion, unchanged compared to the prior study. => +effusion
Calcified XXXX granuloma at ___. => +calcified granuloma
# once
No effusion. No effusion. Effusion. => -effusion, +effusion
"""


def readings(text: str) -> list[str]:
    before, *choice = re.split("[{}]", text)
    return [f"{before}{word}{choice[1]}" for word in choice[0].split("|")] if choice else [before]


LINES = [line.split("=>") for line in CASES.splitlines() if "=>" in line]


@pytest.mark.parametrize(("text", "expected"), [(text, short) for texts, short in LINES for text in readings(texts)])
def test_by_hand(text, expected):
    """A present statement is "+heart", an absent one "-heart", an uncertain one "?heart"."""
    signs = {"present": "+", "absent": "-", "uncertain": "?"}
    assert ", ".join(signs[statement.status] + statement.text for statement in split(text)) == expected.strip()


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


SENTENCES = {
    "1. Big heart. 2. A 2.5 cm mass (none) vs. scar; XXXX rib 7.": ["big heart", "2.5 cm mass vs. scar", "xxxx rib 7"],
    "Clear lungs\nand heart.\n\nNo mass No effusion": ["clear lungs and heart", "no mass", "no effusion"],
    "See rib 7. The end": ["see rib 7", "end"],
    "LUNGS: clear\n LINES AND TUBES: none\nin place": ["lungs : clear", "lines and tubes : none in place"],
    "": [],
    " \n ..": [],
}


@pytest.mark.parametrize("text", SENTENCES)
def test_sentences(text):
    assert sentences(text) == SENTENCES[text]


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

"""Which part of the body a descriptor speaks of."""

import re

from ecor_jax.reports.statements import GROUPS

# The first group that matches is taken: a catheter in an atrium is a device, pleural fluid at a lung base pleura.
_WORDS = {
    "devices": r"catheter|tubes?\b|tubing|(?<!pleural )(?<!kerley b )\blines?\b|picc|pacemaker|pacer"
    r"|defibrillator|\bleads?\b|\bclips?\b|wires?\b"
    r"|stents?\b|prosthe|hardware|devices?\b|\bports?\b|mediport|portacath|\bdrains?\b|\btips?\b|generator|screws?\b"
    r"|\brods?\b|sutures?\b|staples?\b|icd\b|sternotomy|cabg|valve replacement|electrode|foreign bod"
    r"|stimulator|anchors?\b"
    r"|port-a-cath|surgical material",
    "abdomen": r"abdom|abdomen|bowel|stomach|gastric|cholecyst|gallbladder|gallstone|liver|hepatic|splen"
    r"|intraperitoneal"
    r"|pneumoperitoneum|\bfree (?:subdiaphragmatic )?air|colon|hiatal|hiatus|\bupper quadrant|renal"
    r"|kidney|subdiaphragmatic",
    "pleura": r"pleura|(?<!pericardial )effusion|pneumothora|hydropneumothora|hemothora|costophrenic|empyema|fissur"
    r"|\bsulc",
    "diaphragm": r"diaphragm",
    "bones": r"\bbon[ey]|osseous|\bribs?\b|spine|spinal|vertebr|fracture|degenerative|scoliosis|kypho|clavic|shoulder"
    r"|spur|osteo|spondyl|skelet|\bdis[ck]s?\b|sternum|\bsternal|humer|arthr|listhesis|thoracic cage"
    r"|bony|scapul|endplate"
    r"|\bjoints?\b|\bac joint|dish\b|compression deform|acromio|glenohumeral|lytic|wedging|\b[tl]\d"
    r"|lumbar|cervical|rotator",
    "heart": r"\bheart|\bcardiac|cardiomegal|pericard|ventric|\batri|coronar|\bvalv|mitral",
    "mediastinum": r"mediastin|\bhil[au]|hilum|trachea|lymph|adenopath|azygos|thyroid|esophag|retrosternal|thym",
    "vessels": r"aort|\bvascul|\bvessel|\bvein|venous|arter|\bsvc\b|vena cava|atheroscl|congesti",
    "lungs": r"lung|\bpulmon|bronchopulmon|airspace|air space|\blob(?:e|ar|es)\b|basilar|bibasilar|\bbas(?:e"
    r"|es|al)\b|bibasal|consolid|opaci"
    r"|infiltrat|atelect|pneumoni|nodul|\bmass(?:es)?\b|granuloma|edema|emphysem|copd|hyperinfl|hyperexpan|interstiti"
    r"|scar|bronch|fibro|tubercul|airway|lingul|retrocardiac|perihilar|parenchym|\bapic|\bapex|aspirat|sarcoid"
    r"|obstructive|reticul|inspirat|aerat|inflat|expan|alveol|densit|cavit|bulla|bleb|cystic",
}
_PATTERNS = {group: re.compile(pattern) for group, pattern in _WORDS.items()}
assert set(_PATTERNS) | {"other"} == set(GROUPS)
_PLACE = re.compile(r" (?:in|at|of|over|overlying|within|near|adjacent|along|on|under|below|above|from|to) ")


def group_of(text: str) -> str:
    """The group (one of GROUPS) of a descriptor: by its head ("granuloma"), else by its place ("... in left lung")."""
    text = text.lower()
    head = _PLACE.split(text, maxsplit=1)[0]
    for part in (head, text):
        for group, pattern in _PATTERNS.items():
            if pattern.search(part):
                return group
    return "other"

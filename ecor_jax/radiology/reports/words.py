"""The lexicon of the rule-based report splitter, the group (body part) of a phrase, and its normal form."""

import re

MASKED = "xxxx"
"""The replacement for every de-identified word: `XXXX` in Open-I, `___` in MIMIC-CXR."""


def words_of(text: str) -> frozenset[str]:
    """Returns the words of a text."""
    return frozenset(text.split())


SIDES = words_of("""
    right left upper lower middle mid bilateral superior inferior anterior posterior lateral medial proximal distal
    central peripheral dependent right-sided left-sided
""")
"""Adjectives of place that are not part of the name of an organ."""

ORGAN_ADJECTIVES = words_of("""
    mediastinal hilar cardiac pleural pericardial pulmonary bony osseous skeletal interstitial alveolar basilar
    bibasilar apical thoracic lumbar cervical thoracolumbar aortic vascular cardiopulmonary cardiomediastinal
    intrathoracic perihilar retrocardiac paratracheal abdominal vertebral tracheal bronchovascular bronchial venous
    diaphragmatic costophrenic soft-tissue parenchymal intra-abdominal subpleural
""")

QUALITIES = words_of("""
    acute chronic active old focal diffuse large small mild moderate severe minimal patchy streaky linear nodular
    calcified subsegmental definite multiple few scattered prior healed suspicious lobar multifocal confluent
    subacute trace tiny significant discrete new vague subtle dense mild-to-moderate
""")

ORGANS = words_of("""
    heart lung lungs mediastinum hilum hila silhouette silhouettes vasculature vascularity vessels vessel markings
    pleura pleurae space spaces angle angles sulcus sulci diaphragm diaphragms hemidiaphragm hemidiaphragms bone
    bones structures structure thorax spine rib ribs clavicle clavicles tissue tissues soft aorta knob arch trachea
    airway airways abdomen stomach chest skeleton bodies body shoulder shoulders sternum interstitium lobe lobes
    base bases apex apices zone zones field fields region regions midlung midlungs lingula wall cage artery arteries
    upper-lobe parenchyma system quadrant disc disk root neck cardio atrium atria ventricle ventricles svc carina
    pedicles window level interspace pattern elements
""")

ATTRIBUTES = words_of("""
    size contour contours configuration appearance shape caliber calibre position volume volumes morphology
    alignment mineralization distribution height heights outline width
""")

ADVERBS = words_of("""
    mildly grossly slightly moderately severely markedly well otherwise essentially borderline minimally diffusely
    somewhat symmetrically fully normally poorly adequately relatively mild quite top nonspecific partially
    appropriately very more again also extensively bilaterally densely entirely unusually only still now generally
    not-significantly significantly remarkably near near-completely clinically satisfactorily
""")

DISEASES = words_of(
    "emphysematous atherosclerotic sclerotic osteoporotic osteopenic scoliotic kyphotic aneurysmal calcified"
)
"""Adjectives that are findings: "emphysematous changes"."""

ADJECTIVES = DISEASES | words_of("""
    normal clear unremarkable intact midline tortuous prominent hyperlucent sharp symmetric symmetrical ectatic stable
    negative radiopaque patent indistinct abnormal satisfactory appropriate redundant low large small wide visible
    borderline upper-limits-of-normal suboptimal hazy full smooth high similar mild moderate severe good adequate
    lordotic bulky plump asymmetric irregular nodular coarse big top-normal straight round mobile minimal acute chronic
    old new larger smaller worse bigger globular generous distinct sub-optimal dextroscoliotic levoscoliotic subtle
    hypertrophic
""")
"""Further adjectives are all words that end in "ed", except those in _NO_ADJECTIVE."""

_NO_ADJECTIVE = words_of("""
    seen noted located positioned projected placed identified demonstrated visualized needed based used suspected
    advanced red bed obtained related associated compared
""")
PLACE = (
    r"(?:in|of|at|within|over|overlying|overlies|involving|along|near|throughout|through|about|around|under|below"
    r"|above)"
)
SEEN = (
    r"(?:seen|noted|present|identified|demonstrated|visualized|visualised|evident|appreciated|observed|detected"
    r"|apparent|redemonstrated|re-demonstrated|evidenced|visible|found|suggested|shown|recognized|in evidence)"
)
VERB = (
    r"(?:(?:is|are|was|were|appears?|appeared|remains?|remained|seems?|looks?|has been|have been|measures?)(?: to be)?)"
)
SHOWS = (
    r"(?:(?:is|are) (?:only )?(?:notable|remarkable|significant) for|demonstrates?|shows?|reveals?|exhibits?|contains?"
    r"|displays?|(?:demonstrated|showed|revealed)(?! (?:in|on|at|by)\b)(?= )|(?:has|have)(?! been\b))"
)
AND = r"(?: , (?:and |or |nor )?| and/or | and | or | nor | as well as | along with | & )"


ADVERBS_BEFORE = rf"(?:(?:{'|'.join(sorted(ADVERBS))}|upper-limits-of-normal) )*"
ADJECTIVE = rf"(?:{'|'.join(sorted(ADJECTIVES))}|[\w-]+ed)"


def is_adjective(word: str) -> bool:
    """Returns whether a word can follow "is" and describe its subject."""
    return word in ADJECTIVES or (word.endswith("ed") and word not in _NO_ADJECTIVE)


def is_place(text: str) -> bool:
    """Returns whether a text consists of body parts and their attributes: "right lung base", "heart size"."""
    words = text.split()
    return bool(words) and all(word in _PLACES or _LEVEL.fullmatch(word) for word in words)


_PLACES = SIDES | ORGAN_ADJECTIVES | ORGANS | ATTRIBUTES | words_of("of in and or at , xxxx visualized visible")
_LEVEL = re.compile(r"[tlc]\d{1,2}(?:[-/][tlc]?\d{1,2})?|\d+(?:st|nd|rd|th)")


# The first match wins: a catheter in an atrium is a device, pleural fluid at a lung base belongs to the pleura.
_OF_GROUP = {
    "devices": r"catheter|tubes?\b|tubing|(?<!pleural )(?<!kerley b )\blines?\b|picc|pacemaker|pacer|defibrillator"
    r"|\bleads?\b|\bclips?\b|wires?\b|stents?\b|prosthe|hardware|devices?\b|\bports?\b|mediport|portacath|\bdrains?\b"
    r"|\btips?\b|generator|screws?\b|\brods?\b|sutures?\b|staples?\b|icd\b|sternotomy|cabg|valve replacement|electrode"
    r"|foreign bod|stimulator|anchors?\b",
    "abdomen": r"abdom|bowel|stomach|gastric|cholecyst|gallbladder|gallstone|liver|hepatic|splen|peritone|\bfree air"
    r"|colon|hiatal|hiatus|\bupper quadrant|renal|kidney|subdiaphragmatic",
    "pleura": r"pleura|(?<!pericardial )effusion|pneumothora|hemothora|costophrenic|empyema|fissur|\bsulc",
    "diaphragm": r"diaphragm",
    "bones": r"\bbon[ey]|osseous|\bribs?\b|spine|spinal|vertebr|fracture|degenerative|scoliosis|kypho|clavic|shoulder"
    r"|spur|osteo|spondyl|skelet|\bdis[ck]s?\b|\bstern(?:um|al)|humer|arthr|listhesis|thoracic cage|scapul|endplate"
    r"|\bjoints?\b|dish\b|compression deform|acromio|glenohumeral|lytic|wedging|\b[tl]\d|lumbar|cervical|rotator",
    "heart": r"\bheart|\bcardiac|cardiomegal|pericard|ventric|\batri|coronar|\bvalv|mitral",
    "mediastinum": r"mediastin|\bhil[au]|trachea|lymph|adenopath|azygos|thyroid|esophag|retrosternal|thym",
    "vessels": r"aort|\bvascul|\bvessel|\bvein|venous|arter|\bsvc\b|vena cava|atheroscl|congesti",
    "lungs": r"lung|\bpulmon|air ?space|\blob(?:e|ar|es)\b|basilar|\bbas(?:e|es|al)\b|bibasal|consolid|opaci|infiltrat"
    r"|atelect|pneumoni|nodul|\bmass(?:es)?\b|granuloma|edema|emphysem|copd|interstiti|scar|bronch|fibro|tubercul"
    r"|airway|lingul|retrocardiac|perihilar|parenchym|\bapic|\bapex|aspirat|sarcoid|obstructive|reticul|inspirat|aerat"
    r"|inflat|expan|alveol|densit|cavit|bulla|bleb|cystic",
}
_PATTERNS = {group: re.compile(pattern) for group, pattern in _OF_GROUP.items()}
_BEFORE_PLACE = re.compile(r" (?:in|at|of|over|overlying|within|near|adjacent|along|on|under|below|above|from|to) ")


def group_of(text: str) -> str:
    """Returns the group (one of `statements.GROUPS`) of a descriptor: by its head ("granuloma"), else by its place."""
    head = _BEFORE_PLACE.split(text, maxsplit=1)[0]
    for named in (head, text):
        for group, pattern in _PATTERNS.items():
            if pattern.search(named):
                return group
    return "other"


_DROPPED = re.compile(
    rf"\b(?:{MASKED}|visualized|visualised|visible|definite|convincing|obvious|overt|appreciable|discernible|identifiable"
    r"|(?:significant |current )*evidence(?: of| for| to)?|typical|findings of|signs? of|suggestion of|presence of"
    r"|appearance of|manifestations of|sequelae? of|areas? of|region of|(?:re)?demonstration of|combination of|which"
    r"|that|is|are|was|were|been|there|again|also|otherwise|however|currently|radiographic|radiographically|apparent"
    r"|patient|demonstrating|either|stable|unchanged|as well|respectively|, as|noted to be)\b"
    rf"|(?<= ){SEEN}\b"
)
_JOINTS = rf"and|or|nor|to|with|as|for|by|but|than|be|on|from|{PLACE}"
_EDGE = re.compile(rf"^(?:(?:{_JOINTS}|has|have)(?: |$)|[ ,.:/%'+-])+|(?:(?:^| )(?:{_JOINTS}|between)|[ ,.:/'+-])+$")
_NOTHING = words_of(f"""
    change changes finding findings comparison evidence {MASKED} abnormal other others area areas interval position
    technique none no appearance examination exam study view views radiograph extent evaluation time located only
""")
_MODIFIERS = ADVERBS | ATTRIBUTES | SIDES | QUALITIES | ORGAN_ADJECTIVES | _NOTHING
_HIDDEN_HEAD = re.compile(rf" (?:{MASKED} ?)+$")


def normalise(phrase: str) -> str:
    """Returns the normal form of a noun phrase; '' if no description of the image remains."""
    text = (
        _DROPPED.sub(" ", phrase)
        .replace("upper-limits-of-normal", "upper limits of normal")
        .replace("top-normal", "top normal")
        .replace("~and~", " and ")
    )
    text = _EDGE.sub("", re.sub(r"\s+", " ", text).strip())
    text = re.sub(r"(?: ,)+ ?", ", ", text).strip(" ,")
    words = text.split()
    if _says_nothing(words) or is_place(text.replace(",", " ,")):
        return ""
    # "pulmonary xxxx" has lost its noun to de-identification; "blunting of costophrenic xxxx" has not.
    headless = _HIDDEN_HEAD.search(phrase) and words[-1] in ORGAN_ADJECTIVES
    return "" if headless and not re.search(rf"\b{PLACE}\b", text) else text


def _says_nothing(words: list[str]) -> bool:
    """Returns whether words are adjectives and at most a vacuous noun: "normal", "normal size", "mild changes"."""
    if not ORGAN_ADJECTIVES.isdisjoint(words) and not (ATTRIBUTES | _NOTHING).isdisjoint(words):
        return False  # not vacuous: "normal hilar contours", "acute bony changes"
    if not {"finding", "findings"}.isdisjoint(words) and len(words) > 1:
        return False  # not vacuous: "acute findings"
    return all(
        word in _MODIFIERS or (is_adjective(word) and word not in DISEASES) or not re.search("[a-z]{2}", word)
        for word in words
    )

"""The words that the rules know: parts of the body, adjectives, adverbs, attributes, verbs."""

import re


def words_of(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


SIDES = words_of("""
    right left upper lower middle mid bilateral superior inferior anterior posterior lateral medial proximal distal
    central peripheral dependent right-sided left-sided
""")
"""Adjectives of place that take no part in naming an organ."""

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
    costophrenic upper-lobe parenchyma system quadrant disc disk spaces root neck cardio atrium atria ventricle
    ventricles svc carina pedicles window midlung level interspace heights alignment pattern elements
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

ADJECTIVES = words_of("""
    normal clear unremarkable intact midline tortuous prominent hyperlucent sharp symmetric symmetrical ectatic
    stable unchanged negative radiopaque osteopenic kyphotic nondisplaced patent indistinct emphysematous abnormal
    satisfactory appropriate atherosclerotic redundant sclerotic low large small wide visible borderline upper-
    normal upper-limits-of-normal suboptimal hazy full smooth high similar mild moderate severe aneurysmal good
    adequate osteoporotic lordotic bulky plump asymmetric irregular nodular coarse big top-normal scoliotic straight
    hypoaerated round spiculated mobile unfolded upper-limits-normal minimal acute chronic old new larger smaller
    worse bigger globular generous distinct sub-optimal enlarged dextroscoliotic levoscoliotic subtle hypertrophic
""")

DISEASES = words_of(
    "emphysematous atherosclerotic sclerotic osteoporotic osteopenic scoliotic kyphotic aneurysmal calcified"
)
"""Adjectives that are findings: "emphysematous changes"."""

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

_FULL = re.compile(r"(?:hyper|hypo|under|over|non)?-?(?:expanded|inflated|aerated|ventilated)")


def is_adjective(word: str) -> bool:
    """Whether a word can stand behind "is" and describe what stands before it."""
    return word in ADJECTIVES or (word.endswith("ed") and word not in _NO_ADJECTIVE) or bool(_FULL.fullmatch(word))


def is_place(text: str) -> bool:
    """Whether a text names parts of the body and their attributes only: "right lung base", "heart size"."""
    words = text.split()
    return bool(words) and all(word in _PLACES or _LEVEL.fullmatch(word) for word in words)


_PLACES = SIDES | ORGAN_ADJECTIVES | ORGANS | ATTRIBUTES | words_of("of in and or at , xxxx visualized visible")
_LEVEL = re.compile(r"[tlc]\d{1,2}(?:[-/][tlc]?\d{1,2})?|\d+(?:st|nd|rd|th)")

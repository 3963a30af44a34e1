"""What in a sentence is not of the picture: technique, advice, messages, the patient's history."""

import re

_NOT_THE_PICTURE = (
    # Advice.
    r"recommend\w*",
    r"correlat\w+",
    r"follow-?up",
    r"further (?:evaluation|imaging|assessment|characterization)",
    r"if|please|attention|would|repeat|biopsy|bone scan|pet",
    r"(?:should|could|can) be obtained|should be|may be helpful|is suggested|suggest ct",
    r"consider (?:ct|follow|chest|further|repeat|dedicated)",
    # What the picture was to answer.
    r"evaluat(?:ed?|ion|ing) for",
    # Messages.
    r"dictat\w+|discussed|telephone\w*|notif\w+|communicated|message|veriphy|primordial|results?|informed|called",
    r"thank you|end of report|opportunity|questions?$|radiologists?|i have|agree|signed|interpretation"
    r"|reviewed|attending",
    # History and other examinations.
    r"patient (?:is|was|rotation|positioning)|history|clinical (?:concern|suspicion|correlation|history|indication)",
    r"comparison (?:is|with)|comparisons|(?:for|no) comparison|similar appearance|not available|refer to"
    r"|see (?:full|above|report|body)|as above|as described|described above",
    # How the picture was taken.
    r"technique|exam(?:ination)? is|is limited|limited (?:exam|assessment|by|secondary|due|study)|limiting",
    r"somewhat limited|(?:is|are)(?: \w+)? rotated|motion artifact|poorly visualized|not well evaluated"
    r"|not included|excluded from",
    r"not imaged|obscures evaluation|obscured by patient|evaluation (?:is|of)|(?:could|may|can|might) obscure",
    r"(?:was|were) (?:obtained|submitted|performed)|submitted|consists of|images?$",
)
_IRRELEVANT = re.compile(
    rf"\b(?:{'|'.join(_NOT_THE_PICTURE)})\b|^(?:to )?(?:rule out|r/o|exclude|assess|evaluate) "
    r"|^limited (?:\w+ )?(?:evaluation|visualization|views?)\b(?!.*\b(?:reveals?|shows?|demonstrates?|no) )"
)
_VIEW = r"(?:views?|projections?|radiographs?|images?|films?)"
_TECHNIQUE = re.compile(
    r"(?:\d+|two|one|three|single|pa|ap|portable|upright|frontal|lateral|semi-?upright|supine"
    r"|lordotic|apical|and|of|xxxx"
    rf"|{_VIEW}|study|examination|exam|obtained|,|chest|left|right|knee|shoulder|ribs?|abdomen|hand|foot|hip)(?: |$)"
)
_SEEN_ON_VIEW = re.compile(
    r" ,? ?(?:(?:(?:is |are )?not )?(?:best |well |well-|clearly |definitely )?"
    r"(?:seen|visualized|noted|identified|localized) )?"
    r"(?:(?:only )?(?:on|in|with) )?(?:xxxx )?(?:frontal|lateral|pa|ap)(?: and (?:lateral"
    rf"|frontal))? (?:{_VIEW}|xxxx)\b"
)
_TAKEN = re.compile(rf"^(?:rotated |apical |lordotic |frontal |lateral |pa |ap |and |portable )+{_VIEW} ,")
_EXCUSE = (
    r"(?:considering|accounting for|allowing for|given|for)(?: \w+){0,6}? (?:technical factors|technique|projection)"
)
_ASIDE = re.compile(
    rf"^{_EXCUSE}(?: ,)?|\b{_EXCUSE}|\bin (?:\w+ )?clinical setting\b|\bin setting of (?:xxxx|\w+)|\bin patients?\b.*"
)
_ADVICE = re.compile(
    r"(?: ,| and| for which| if) (?:(?! , ).)*\b(?:recommended|advised|suggested|suspect|warranted)\b.*"
    r"| ,(?: and)? (?:if|correlate|please|recommend) .*"
)


def without_asides(sentence: str) -> str:
    """The sentence without its views ("seen on lateral view"), its excuses ("for technique") and its advice."""
    sentence = _SEEN_ON_VIEW.sub("", f" {sentence}").strip()
    for pattern in (_TAKEN, _ASIDE, _ADVICE):
        sentence = pattern.sub("", sentence)
    return sentence.strip(" ,")


def describes_picture(clause: str) -> bool:
    """False for a clause of advice, messages, history or technique, as far as its words give it away."""
    technique = not _TECHNIQUE.sub("", f"{clause} ").strip()
    return not technique and not _IRRELEVANT.search(clause)

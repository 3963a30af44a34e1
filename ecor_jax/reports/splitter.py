"""Rule-based splitter: a radiology report to atomic statements, offline.

Sentences, then clauses, then what in each is present, absent or uncertain, then single phrases in normal form.
"""

from ecor_jax.reports.anatomy import group_of
from ecor_jax.reports.clauses import clauses
from ecor_jax.reports.coordination import phrases
from ecor_jax.reports.normalise import normalise
from ecor_jax.reports.predicates import noun_phrases
from ecor_jax.reports.scope import Segment, segments
from ecor_jax.reports.sentences import sentences
from ecor_jax.reports.statements import Statement, Status
from ecor_jax.reports.words import is_place, words_of

# Of what organ they are has to be said with them.
_GENERAL = words_of(
    "abnormality abnormalities finding findings lesion lesions disease process deformity change changes injury"
)
_FRACTURES = words_of("fracture fractures")


def split(text: str) -> tuple[Statement, ...]:
    """The statements of a report (`sections.report_text`) in order of mention, none twice; () for an empty one."""
    found: dict[tuple[str, Status], Statement] = {}
    for sentence in sentences(text):
        for clause in clauses(sentence):
            for segment in segments(clause):
                for phrase, status in _phrases(segment):
                    descriptor = normalise(phrase)
                    if descriptor:
                        found.setdefault((descriptor, status), Statement(descriptor, status, group_of(descriptor)))
    return tuple(found.values())


def _phrases(segment: Segment) -> list[tuple[str, Status]]:
    found = [one for phrase in noun_phrases(segment.text) for one in _located(phrase, segment.about)]
    return [(phrase, segment.status) for phrase in found]


def _located(phrase: str, about: str) -> list[str]:
    """ "bones are | without | acute abnormality" is an "acute abnormality of bones"."""
    words = phrase.split()
    last = words[-1] if words else ""
    general = last in _FRACTURES or (last in _GENERAL and group_of(phrase) == "other")
    return [f"{phrase} of {organ}" for organ in phrases(about)] if general and is_place(about) else [phrase]

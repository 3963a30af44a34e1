"""ROUGE-L and METEOR of explanations against reports; `descriptor_sets` has scores independent of the sentence order.

Texts are lists of sentences (descriptors), one list per study. The scores are those of the libraries rouge-score and
NLTK: a study whose explanation or report is empty scores 0. Both libraries come with the extra `xray`; without it the
functions of this module raise UserError.
"""

import re
from collections.abc import Sequence
from importlib.metadata import version
from statistics import fmean
from types import SimpleNamespace
from typing import Any, NamedTuple

from ecor_jax.errors import UserError, needs

Texts = Sequence[Sequence[str]]


class Overlap(NamedTuple):
    """The name of a score, its value in [0, 1] for each study, and the implementation that computed it."""

    name: str
    each: tuple[float, ...]
    implementation: str

    @property
    def value(self) -> float:
        """Returns the mean over the studies."""
        return fmean(self.each)


def text_overlap(predicted: Texts, reported: Texts) -> tuple[Overlap, ...]:
    """Returns ROUGE-L, ROUGE-Lsum and METEOR of predicted[i] against reported[i], the sentences of study i.

    Raises UserError if there is no study, or if NLTK's WordNet is damaged.
    """
    if not len(predicted):
        raise UserError("no study to compare the texts of; expected at least one")
    return (*rouge(predicted, reported), meteor(predicted, reported))


def rouge(predicted: Texts, reported: Texts) -> tuple[Overlap, Overlap]:
    """Returns F-measures of the longest common subsequence (Lin 2004), with Porter's stemmer as in METEOR.

    "rouge_l" treats a text as one sequence of words: a different order of sentences lowers the score. "rouge_lsum"
    takes the union over sentences (one per line) and does not depend on their order.
    """
    needs("rouge_score", "xray")
    needs("nltk", "xray")  # for the stemmer
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL", "rougeLsum"], use_stemmer=True)
    scores = [
        scorer.score(target=_lines(true), prediction=_lines(said))
        for said, true in zip(predicted, reported, strict=True)
    ]

    def overlap(name: str, kind: str, detail: str) -> Overlap:
        each = tuple(float(score[kind].fmeasure) for score in scores)
        return Overlap(name, each, f"rouge-score {version('rouge-score')}, {kind}, F-measure, stemmer, {detail}")

    return overlap("rouge_l", "rougeL", "sentences joined"), overlap("rouge_lsum", "rougeLsum", "a line a sentence")


def meteor(predicted: Texts, reported: Texts) -> Overlap:
    """Returns NLTK's METEOR (Lavie and Agarwal 2007; alpha .9, beta 3, gamma .5) on lower-case alphanumeric tokens.

    The score is named "meteor" if NLTK's data contains WordNet, else "meteor_exact_stem": words then match by form and
    stem, never as synonyms, and the two scores are not comparable. Nothing is downloaded.
    """
    needs("nltk", "xray")
    from nltk.translate.meteor_score import single_meteor_score

    wordnet = _wordnet()
    name, detail = ("meteor_exact_stem", "no WordNet") if wordnet is None else ("meteor", "WordNet")
    # Without WordNet, NLTK's third matching stage finds nothing.
    synonyms: Any = SimpleNamespace(synsets=lambda word: []) if wordnet is None else wordnet
    each = tuple(
        float(single_meteor_score(_words(truth), _words(text), wordnet=synonyms, alpha=0.9, beta=3.0, gamma=0.5))
        for text, truth in zip(predicted, reported, strict=True)
    )
    implementation = f"nltk {version('nltk')}, alpha .9, beta 3, gamma .5, {detail}"
    return Overlap(name, each, implementation)


def _wordnet() -> Any:
    """Returns WordNet from NLTK's data folders; None if it is not installed."""
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except Exception as error:
        # Missing data raises a plain LookupError; damaged files may raise anything.
        if type(error) is LookupError:
            return None
        raise UserError(f"NLTK's data holds a WordNet that cannot be read ({error!r}); mend or remove it") from error
    return wordnet


def _lines(sentences: Sequence[str]) -> str:
    return "\n".join(" ".join(sentence.split()) for sentence in sentences)


def _words(sentences: Sequence[str]) -> list[str]:
    return re.findall(r"[a-z0-9]+", " ".join(sentences).lower())

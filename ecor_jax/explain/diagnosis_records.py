"""What the report of a diagnosis run shows, as plain data. Scores are fractions in [0, 1], intervals (low, high)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ecor_jax.explain.records import Curve, Reliability
from ecor_jax.explain.study_records import ExplainedStudy
from ecor_jax.explain.verification_records import RocCurve

Interval = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """A number and its interval; what is not defined is None."""

    value: float | None
    interval: Interval | None = None


@dataclass(frozen=True)
class DiagnosisScore:
    """How one method does on one finding, over `count` studies; what they do not define is None."""

    count: int
    accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    auroc: float | None = None
    brier: float | None = None
    accuracy_interval: Interval | None = None
    precision_interval: Interval | None = None
    recall_interval: Interval | None = None
    f1_interval: Interval | None = None
    auroc_interval: Interval | None = None
    brier_interval: Interval | None = None
    positives: int | None = None


@dataclass(frozen=True)
class DiagnosisRow:
    """One method: its scores by finding. A mean over findings is an entry of its own name."""

    name: str
    findings: Mapping[str, DiagnosisScore]


@dataclass(frozen=True)
class WeightRow:
    """A descriptor's column of the aggregation matrix: what each finding's logit gains per unit of its cosine."""

    descriptor: str
    group: str
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Agreement:
    """How far the reasons that are given are the descriptors that the `reference` says hold: means over `studies`.

    `left_out` more studies have no descriptor to compare with. `text` goes from the name of a measure to its value,
    `sets` from how descriptors are matched ("equal") to precision, recall and F1.
    """

    reference: Literal["labels", "reports"]
    studies: int
    left_out: int
    text: Mapping[str, Figure]
    sets: Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True)
class DiagnosisReport:
    """Everything on the page; a part that is empty is left out.

    `average` is that of precision, recall and F1 ("binary", "macro" or "weighted"). `differences` go from "a - b" to
    how far the AUROC of a is above that of b on the same studies, the mean over the findings where there are several.
    `roc` goes from a finding to the curves by method, each (false positive rate, true positive rate); `calibration`
    from what is calibrated ("bottleneck, Effusion") to its diagram; `kept_accuracy` and `kept_auroc` from the name of a
    method to its values by the number of concepts kept; `loss` from the name of a run to its curve.
    """

    title: str
    intro: str = ""
    dataset: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[DiagnosisRow] = ()
    average: str = ""
    differences: Mapping[str, Figure] = field(default_factory=dict)
    roc: Mapping[str, Mapping[str, RocCurve]] = field(default_factory=dict)
    calibration: Mapping[str, Reliability] = field(default_factory=dict)
    studies: Sequence[ExplainedStudy] = ()
    weights: Sequence[WeightRow] = ()
    kept_accuracy: Mapping[str, Mapping[int, Figure]] = field(default_factory=dict)
    kept_auroc: Mapping[str, Mapping[int, Figure]] = field(default_factory=dict)
    agreement: Agreement | None = None
    loss: Mapping[str, Curve] = field(default_factory=dict)
    commands: Sequence[str] = ()
    notes: Sequence[str] = ()

"""What the report of a diagnosis run shows, as plain data. Scores are fractions in [0, 1], intervals (low, high)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ecor_jax.explain.records import Curve, Reliability
from ecor_jax.explain.study_records import ExplainedStudy
from ecor_jax.explain.verification_records import RocCurve

Interval = tuple[float, float]


@dataclass(frozen=True)
class DiagnosisScore:
    """How one method does on one finding, over `count` studies; what they do not define is None."""

    count: int
    accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    auroc: float | None = None
    accuracy_interval: Interval | None = None
    f1_interval: Interval | None = None
    auroc_interval: Interval | None = None
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
class DiagnosisReport:
    """Everything on the page; a part that is empty is left out.

    `roc` goes from a finding to the curves by method, each (false positive rate, true positive rate); `calibration`
    from what is calibrated ("bottleneck, Effusion") to its diagram; `kept_accuracy` and `kept_auroc` from the name of a
    curve to its values over the number of concepts kept; `overlap` from the name of a measure of the explanations'
    text to its value; `loss` from the name of a run to its curve.
    """

    title: str
    intro: str = ""
    dataset: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[DiagnosisRow] = ()
    roc: Mapping[str, Mapping[str, RocCurve]] = field(default_factory=dict)
    calibration: Mapping[str, Reliability] = field(default_factory=dict)
    studies: Sequence[ExplainedStudy] = ()
    weights: Sequence[WeightRow] = ()
    kept_accuracy: Mapping[str, Curve] = field(default_factory=dict)
    kept_auroc: Mapping[str, Curve] = field(default_factory=dict)
    overlap: Mapping[str, float] = field(default_factory=dict)
    loss: Mapping[str, Curve] = field(default_factory=dict)
    commands: Sequence[str] = ()
    notes: Sequence[str] = ()

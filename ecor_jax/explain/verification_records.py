"""What the report of a verification run shows, as plain data. Accuracies, AUC, FAR and TAR are fractions in [0, 1]."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ecor_jax.explain.pair_records import ExplainedPair
from ecor_jax.explain.records import Curve

RocCurve = Sequence[tuple[float, float]]
"""(FAR, TAR), neither of them falling: from (0, 0) to (1, 1)."""


@dataclass(frozen=True)
class TarScore:
    """The true accept rate at a false accept rate of at most `far`.

    Not `resolved` where there are too few different pairs: then it is the TAR without any false accept.
    """

    far: float
    tar: float
    resolved: bool = True


@dataclass(frozen=True)
class BenchmarkScore:
    """How one row does on one benchmark; what its pairs do not define is None, or missing from `tar`.

    `one_kind` is for pairs that are all the same or all different: accuracy then says next to nothing, and is kept
    out of the average.
    """

    accuracy: float
    auc: float | None = None
    tar: Sequence[TarScore] = ()
    one_kind: bool = False


@dataclass(frozen=True)
class VerificationRow:
    """One line of the tables: its scores by benchmark, its alignment proxy, the seconds it took."""

    name: str
    benchmarks: Mapping[str, BenchmarkScore]
    proxy: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class VerificationReport:
    """Everything on the page; a part that is empty is left out.

    `roc` goes from a benchmark to the curves by row, `kept` from the name of a curve to the accuracy over the number
    of concepts kept, `loss` from the name of a run to its curve.
    """

    title: str
    intro: str = ""
    dataset: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[VerificationRow] = ()
    roc: Mapping[str, Mapping[str, RocCurve]] = field(default_factory=dict)
    kept: Mapping[str, Curve] = field(default_factory=dict)
    pairs: Sequence[ExplainedPair] = ()
    loss: Mapping[str, Curve] = field(default_factory=dict)
    commands: Sequence[str] = ()
    notes: Sequence[str] = ()

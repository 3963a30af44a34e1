"""What every reader of reports yields."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """A report's text, the parts that describe the picture only; '' where it says nothing."""

    name: str
    """Its id or path within its source, unique there."""
    text: str

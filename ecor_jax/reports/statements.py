"""An atomic statement of a radiology report: one descriptor, and what the report says of it."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["present", "absent", "uncertain"]
STATUSES: tuple[Status, ...] = ("present", "absent", "uncertain")
GROUPS = (
    "lungs",
    "pleura",
    "heart",
    "mediastinum",
    "vessels",
    "bones",
    "diaphragm",
    "devices",
    "abdomen",
    "other",
)


@dataclass(frozen=True)
class Statement:
    """`text` is in normal form: lower case, no articles, no words of negation or doubt; `group` is one of GROUPS."""

    text: str
    status: Status
    group: str


def phrase(statement: Statement) -> str:
    """The statement in words: "pleural effusion", "no pleural effusion", "possible pleural effusion"."""
    before = {"present": "", "absent": "no ", "uncertain": "possible "}
    return before[statement.status] + statement.text

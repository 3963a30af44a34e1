"""Readers for published sets of concepts (JSON, CSV, TSV, plain text); the format is detected from the content."""

import csv
from pathlib import Path

from ecor_jax.data.tables import table_rows
from ecor_jax.errors import UserError
from ecor_jax.untrusted.files import decode_text, read_bytes
from ecor_jax.untrusted.json_text import MAX_BYTES, JsonObject, kind_of, parse_json

_CLASS_COLUMNS = ("class", "class_name", "classname", "category", "label")
MAX_LINES = 1_000_000
"""Maximum number of lines of a table or text; for comparison, ImageNet's rationales are 4,244."""
_CONCEPT_COLUMNS = ("descriptor", "concept", "rationale", "attribute", "description")
FORMS = "JSON {class: [descriptor, ...]}, a CSV with a column of classes and one of descriptors, or a descriptor a line"


def read_concepts(path: Path) -> JsonObject | list[str]:
    """Reads a file of concepts: pairs (class, value), or a plain list of concepts.

    - JSON {class: [descriptor, ...]}: DROR's rationales, Menon and Vondrick's descriptors (DCLIP), LaBo's concepts.
      The values are returned unchecked.
    - A JSON list of texts, or a text file with one concept per line (Label-free CBM): the list of concepts.
    - A CSV or TSV file whose header has a column of classes (class, class_name, classname, category, label) and one of
      descriptors (descriptor, concept, rationale, attribute, description): one row per pair.

    Raises UserError if the file has none of these forms or is damaged.
    """
    text, where = decode_text(read_bytes(path, MAX_BYTES), str(path)), str(path)
    if path.suffix.lower() == ".json" or text.lstrip()[:1] in ("{", "["):
        content = parse_json(text, where, pairs=JsonObject)
        if isinstance(content, JsonObject):
            return content
        return _texts(content if isinstance(content, list) else [content], where)
    if text.count("\n") > MAX_LINES:
        raise UserError(f"{where}: has more than {MAX_LINES:,} lines, which is no plausible set of concepts")
    header = text.partition("\n")[0]
    for delimiter in (",", "\t"):
        names = [name.strip().casefold() for name in next(csv.reader([header], delimiter=delimiter), [])]
        columns = [[name for name in names if name in known] for known in (_CLASS_COLUMNS, _CONCEPT_COLUMNS)]
        if all(columns):
            if any(len(found) > 1 for found in columns):
                raise UserError(
                    f"{where}: several columns could be meant, {', '.join(columns[0] + columns[1])}; keep two"
                )
            return _of_table(text, where, delimiter, columns[0][0], columns[1][0])
    if header.count("\t") or not text.strip():
        raise UserError(f"{where}: expected {FORMS}; found {header.strip()[:80]!r}")
    return _texts([line.strip() for line in text.split("\n") if line.strip()], where)


def _of_table(text: str, where: str, delimiter: str, category: str, concept: str) -> JsonObject:
    header, _, rest = text.partition("\n")
    lists: dict[str, list[str]] = {}
    for line, row in table_rows(f"{header.strip().casefold()}\n{rest}", where, (category, concept), delimiter):
        if not (row[category] and row[concept]):
            raise UserError(f"{where}, line {line}: found {list(row.values())}; expected a class and a descriptor")
        lists.setdefault(row[category], []).append(row[concept])
    return JsonObject(lists.items())


def _texts(values: list, where: str) -> list[str]:
    for number, value in enumerate(values, 1):
        if not isinstance(value, str) or not value.strip():
            raise UserError(f"{where}: entry {number} is {kind_of(value)}; expected a text. Read are {FORMS}")
    if not values:
        raise UserError(f"{where}: is empty; expected {FORMS}")
    return values

"""Splits reports into atomic descriptors with a causal language model, resumably and with validated answers.

`folder` contains answers.jsonl, the raw answers, one per line, and rejected.jsonl, the rejected lines with reasons.
"""

import collections
import contextlib
import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from absl import logging
from tqdm import tqdm

from ecor_jax.atomic import new_file
from ecor_jax.errors import UserError
from ecor_jax.radiology.reports.causal_model import CausalModel
from ecor_jax.radiology.reports.prompt import Answer, Rejected, read_answer, request
from ecor_jax.radiology.reports.read import Report
from ecor_jax.radiology.reports.statements import Statement
from ecor_jax.untrusted.json_text import parse_json


def split_reports(
    model: CausalModel, reports: Sequence[Report], folder: Path, batch_size: int = 8
) -> dict[str, tuple[Statement, ...]]:
    """Returns the statements of every report by its name, extracted by the model.

    An interrupted run resumes: answers in answers.jsonl for the same model, request and report are reused. Answers
    of other models and requests stay in the file and are ignored. Lines that fail a check of `read_answer` are
    written to rejected.jsonl and counted in the log. Reports that exceed the model's context are rejected in the same
    way: truncating them would lose the findings at their end, and the run goes on without them. Empty reports have no
    statements and are not sent to the model.
    Raises UserError if the model's context is too short for any report, if the folder is not writable, or if another
    process uses it.
    """
    if batch_size < 1:
        raise UserError(f"batch_size is {batch_size}; expected a positive whole number")
    if model.room < (least := len(model.prompt(""))):
        raise UserError(f"the model has room for prompts of {model.room} tokens; the request alone takes {least}")
    keys = {report.name: _key(model, report) for report in reports if report.text.strip()}
    # Reports with equal texts, such as those of normal findings, are answered once.
    distinct = {keys[report.name]: report for report in reversed(reports) if report.name in keys}
    with _answers_file(folder / "answers.jsonl") as (known, write):
        too_long = _ask(model, distinct, known, write, batch_size)
    statements: dict[str, tuple[Statement, ...]] = {}
    rejected = []
    for report in reports:
        kept, faults = (), ()
        key = keys.get(report.name)
        if key in too_long:
            faults = (Rejected("", "report longer than the context"),)
        elif key:
            kept, faults = read_answer(known[key], report.text)
        statements[report.name] = kept
        rejected += [{"name": report.name, "reason": fault.reason, "line": fault.line} for fault in faults]
    with new_file(folder / "rejected.jsonl") as partial:
        partial.write_text("".join(json.dumps(line) + "\n" for line in rejected), encoding="utf-8")
    reasons = collections.Counter(line["reason"] for line in rejected).most_common()
    logging.log(
        logging.WARNING if rejected else logging.INFO,
        "%d reports: %d statements taken, %d reports without any; %d lines or answers kept apart in %s%s",
        len(statements),
        sum(map(len, statements.values())),
        sum(not kept for kept in statements.values()),
        len(rejected),
        folder / "rejected.jsonl",
        "".join(f"; {reason}: {count}" for reason, count in reasons),
    )
    return statements


def _ask(
    model: CausalModel,
    reports: dict[str, Report],
    known: dict[str, Answer],
    write: Callable[[str, str, Answer], None],
    batch_size: int,
) -> set[str]:
    """Generates the missing answers for `reports` (by key); returns the keys of those that exceed the context.

    Batches are the same in every run over the same reports with the same batch size, and a batch with a missing answer
    is computed completely, so that a resumed run writes the same answers, bit for bit, as an uninterrupted one. The
    longest reports come first, so that a lack of memory shows early.
    """
    order = sorted(reports, key=lambda key: (-len(reports[key].text), key))
    too_long: set[str] = set()
    done = sum(key in known for key in order)
    with tqdm(total=len(order), initial=done, desc="language model", unit="report", mininterval=1) as bar:
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            lacking = {key for key in batch if key not in known}
            if not lacking:
                continue
            prompts = {key: model.prompt(reports[key].text) for key in batch}
            fitting = [key for key in batch if len(prompts[key]) <= model.room]
            too_long |= set(batch) - set(fitting)
            if not lacking.isdisjoint(fitting):
                answers = model.answer([prompts[key] for key in fitting])
                for key, answer in zip(fitting, answers, strict=True):
                    if key in lacking:
                        write(reports[key].name, key, answer)
            bar.update(len(lacking))
    return too_long


def _key(model: CausalModel, report: Report) -> str:
    """Returns the sha256 of the model and the request, the key of an answer: it is independent of the report's name."""
    return hashlib.sha256(f"{model.digest}\n{request(report.text)}".encode()).hexdigest()


@contextlib.contextmanager
def _answers_file(path: Path) -> Iterator[tuple[dict[str, Answer], Callable[[str, str, Answer], None]]]:
    """Opens and locks answers.jsonl; yields its answers by key and a function that appends one.

    The function flushes the file before it returns. Raises UserError if the file is not writable, has a damaged line,
    or is locked by another process.
    """
    with contextlib.ExitStack() as stack:
        with _named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("a", encoding="utf-8"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"{path}: another run is writing to it; wait for it or choose another folder") from None
            content = path.read_bytes()
            whole = content.rfind(b"\n") + 1
            # A line without a line break is incomplete: the process that wrote it was killed.
            file.truncate(whole)
        lines = content[:whole].decode(errors="replace").split("\n")[:-1]
        known = dict(_answer(line, f"{path}: line {number}") for number, line in enumerate(lines, 1))

        def write(name: str, key: str, answer: Answer) -> None:
            with _named(path):
                file.write(json.dumps({"name": name, "prompt": key, "ended": answer.ended, "text": answer.text}) + "\n")
                file.flush()
            known[key] = answer

        yield known, write


def _answer(line: str, where: str) -> tuple[str, Answer]:
    """Parses a line of answers.jsonl as a key and an answer. Raises UserError if it is damaged."""
    try:
        entry = parse_json(line, where)
        key, answer = entry["prompt"], Answer(entry["text"], entry["ended"])
        if not (isinstance(key, str) and isinstance(answer.text, str) and isinstance(answer.ended, bool)):
            raise TypeError
    except (UserError, TypeError, KeyError) as error:
        raise UserError(f"{where} is damaged; remove that line") from error
    return key, answer


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be read or written ({error.strerror or error})") from error

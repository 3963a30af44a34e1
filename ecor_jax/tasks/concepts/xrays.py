"""Opens chest X-rays as a dataset of concepts: studies split by patient, with descriptors from labels or reports."""

import collections
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from tqdm import tqdm

from ecor_jax.data.descriptors import XRAYS, Descriptors
from ecor_jax.data.tally import Tally
from ecor_jax.data.vocabulary import normalise_name
from ecor_jax.errors import UserError, needs, some_of
from ecor_jax.radiology.reports import splitter
from ecor_jax.radiology.reports.sections import report_text
from ecor_jax.radiology.reports.statements import phrase, read_statements
from ecor_jax.radiology.xray import open_studies
from ecor_jax.radiology.xray.captions import OneFinding, StudyCaptions
from ecor_jax.radiology.xray.labels import Uncertain, select, targets_of
from ecor_jax.radiology.xray.patient_split import check_no_overlap, split_patients
from ecor_jax.radiology.xray.studies import POSITIVE, Studies
from ecor_jax.tasks.concepts.data import ConceptsDataset, Split
from ecor_jax.tasks.concepts.options import Concepts, ConceptsData, ConceptsOptions
from ecor_jax.tasks.splits import share_of


def open_xrays(options: ConceptsOptions) -> ConceptsDataset:
    """Opens the studies that `data` names; no patient is in two splits. Raises UserError for an invalid option."""
    data = options.data
    for option in ("images", "tables"):
        if not getattr(data, option):
            raise UserError(f"--config.data.{option} is not set: expected a path")
    # The text metrics are computed after the training; missing packages are reported before it.
    for package in ("nltk", "rouge_score"):
        needs(package, "xray")
    classes = data.findings
    if not classes or (data.single_label and len(classes) != 2):
        expected = "two: what is not there, and the finding" if data.single_label else "at least one"
        raise UserError(f"data.findings names {', '.join(classes) or 'nothing'}; expected {expected}")
    studies = open_studies(
        data.images, data.tables, reports=data.reports, on_missing="error" if data.on_missing == "error" else "skip"
    )
    tally = Tally()
    tally.add_source(studies)
    tally.lines += studies.left_out
    if data.patients:
        drawn = _some_patients(studies, classes, data)
        tally.skip("of patients not drawn", len(studies) - len(drawn), studies.origin)
        studies = drawn
    rows = _split(studies, classes, data)
    tally.skip("of another official split", len(studies) - sum(map(len, rows.values())), studies.origin)
    chosen = {name: _selected(studies.take(own), classes, data, tally) for name, own in rows.items()}
    descriptors, held = _concepts([split for split, _ in chosen.values()], classes, options)
    splits = {
        name: Split(pictures, targets, present, phrases, pictures.patients)
        for (name, (pictures, targets)), (present, phrases) in zip(chosen.items(), held, strict=True)
    }
    pretraining, of_labels = studies.take(rows["train"]), options.concepts.source == "labels"
    return ConceptsDataset(
        classes,
        data.single_label,
        descriptors,
        _of_class(descriptors, classes) if of_labels else None,
        splits["train"],
        splits.get("validation"),
        splits["test"],
        tally=tally,
        trained_on=pretraining.patients,
        by_picture=not of_labels,
        captions=(OneFinding(pretraining, descriptors.groups), StudyCaptions(descriptors)) if of_labels else None,
    )


def _of_class(descriptors: Descriptors, classes: Sequence[str]) -> Bool[np.ndarray, "classes concepts"]:
    """Returns the descriptors of each class: those of the group with its name."""
    groups = [normalise_name(descriptors.groups[group]) for group in descriptors.group_of]
    return np.array([[group == normalise_name(name) for group in groups] for name in classes])


def _some_patients(studies: Studies, classes: Sequence[str], data: ConceptsData) -> Studies:
    """Returns the studies of `data.patients` patients, drawn from those with at least one selected image."""
    patients = np.unique(_selected(studies, classes, data, Tally())[0].patients)
    if data.patients > len(patients):
        raise UserError(f"data.patients is {data.patients}; expected 0 (all) to {len(patients)}")
    drawn = set(np.random.default_rng(data.seed).choice(patients, data.patients, replace=False).tolist())
    return studies.take([row for row, patient in enumerate(studies.patients) if patient in drawn])


def _split(studies: Studies, classes: Sequence[str], data: ConceptsData) -> dict[str, np.ndarray]:
    """Returns the row indices of each split."""
    rows = _train_and_test(studies, classes, data)
    if not data.validation:
        return rows
    share = share_of(data.validation)
    if share is None:
        validation = np.flatnonzero(np.array(studies.splits) == data.validation)
        if not len(validation):
            raise UserError(f"{studies.origin}: no image of the split {data.validation!r} (data.validation)")
        check_no_overlap(*([studies.patients[row] for row in split] for split in (validation, rows["test"])))
        return rows | {"validation": validation}
    train = studies.take(rows["train"])
    kept, validation = _by_patient(train, classes, share, data.seed + 1)
    return rows | {"train": rows["train"][kept], "validation": rows["train"][validation]}


def _train_and_test(studies: Studies, classes: Sequence[str], data: ConceptsData) -> dict[str, np.ndarray]:
    if data.test == 1:
        raise UserError(f"data.test is {data.test}; expected a share of the patients, or 0 for the official split")
    if data.test:
        return dict(zip(("train", "test"), _by_patient(studies, classes, data.test, data.seed), strict=True))
    rows = {name: np.flatnonzero(np.array(studies.splits) == name) for name in ("train", "test")}
    if not all(map(len, rows.values())):
        raise UserError(f"{studies.origin}: no official split; set data.test to the share of the patients to test on")
    check_no_overlap(*([studies.patients[row] for row in split] for split in rows.values()))
    return rows


def _by_patient(studies: Studies, classes: Sequence[str], share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of two splits, the second with `share` of the patients, stratified by the rarest finding."""
    wanted = set(map(normalise_name, classes))
    columns = [column for column, name in enumerate(studies.findings) if normalise_name(name) in wanted]
    strata = (studies.labels[:, columns] == POSITIVE).astype(np.float32)
    return split_patients(studies.patients, test=share, seed=seed, strata=strata)


def _selected(studies: Studies, classes: Sequence[str], data: ConceptsData, tally: Tally) -> tuple[Studies, np.ndarray]:
    chosen, targets, skipped = select(
        studies, findings=classes, views=data.views, uncertain=data.uncertain, single_label=data.single_label
    )
    for reason, count in skipped.items():
        tally.skip(reason, count, studies.origin)
    return chosen, targets


Held = list[tuple[Bool[np.ndarray, "studies concepts"], Sequence[Sequence[str]]]]


def _concepts(splits: Sequence[Studies], classes: Sequence[str], options: ConceptsOptions) -> tuple[Descriptors, Held]:
    """Returns the descriptors, and `present` and `phrases` of the studies of each split."""
    concepts = options.concepts
    if concepts.source == "labels":
        if concepts.statements:
            raise UserError("concepts.statements is set, but concepts.source is 'labels'; expected 'reports'")
        descriptors = Descriptors.from_file(XRAYS if concepts.descriptors == "xrays" else concepts.descriptors)
        groups = set(map(normalise_name, descriptors.groups))
        if without := [name for name in classes if normalise_name(name) not in groups]:
            raise UserError(
                f"no group of descriptors is called {', '.join(map(repr, without))}, as a finding of data.findings is; "
                f"there are: {', '.join(descriptors.groups)}"
            )
        present = [_held_by_labels(split, descriptors, options.data.uncertain) for split in splits]
        phrases = np.array(descriptors.phrases)
        return descriptors, [(rows, [phrases[row].tolist() for row in rows]) for rows in present]
    said = [_phrases(split, concepts) for split in splits]
    descriptors = _of_reports(splits[0], said[0], concepts)
    return descriptors, [(_held(rows, descriptors), list(map(list, rows))) for rows in said]


def _held_by_labels(
    studies: Studies, descriptors: Descriptors, uncertain: Uncertain
) -> Bool[np.ndarray, "studies concepts"]:
    """Returns the present descriptors: those of the findings with a positive label."""
    findings = list(map(normalise_name, studies.findings))
    there = targets_of(studies.labels, uncertain) == 1
    by_group = np.zeros((len(studies), len(descriptors.groups)), bool)
    for column, group in enumerate(map(normalise_name, descriptors.groups)):
        if group in findings:
            by_group[:, column] = there[:, findings.index(group)]
    return by_group[:, list(descriptors.group_of)]


def _phrases(studies: Studies, concepts: Concepts) -> list[dict[str, str]]:
    """Returns {phrase: group} of the present and absent statements of each study's report; omits uncertain ones."""
    names = [name.removesuffix(".txt") for name in studies.report_names]
    if concepts.statements:
        known = read_statements(concepts.statements)
        if missing := sorted(set(names) - set(known) - {""}):
            raise UserError(f"{concepts.statements}: no statements of {len(missing)} reports: {some_of(missing)}")
    else:
        texts = dict(zip(names, studies.reports, strict=True))
        bar = tqdm(texts.items(), "splitting reports", unit="report", mininterval=1)
        known = {name: splitter.split(report_text(text, concepts.sections)) for name, text in bar}
    return [
        {phrase(said): said.group for said in known.get(name, ()) if said.status != "uncertain"} if name else {}
        for name in names
    ]


def _of_reports(studies: Studies, said: Sequence[dict[str, str]], concepts: Concepts) -> Descriptors:
    """Returns the `concepts.max_descriptors` most frequent descriptors, stated by at least `concepts.min_reports`.

    Spellings that `normalise_name` makes equal are one descriptor, written in their most frequent spelling.
    """
    reports = dict(zip(studies.report_names, said, strict=True))
    reports.pop("", None)
    if not reports:
        raise UserError(f"{studies.origin}: no image to train on has a report; set data.reports to their folder")
    counts, spelled = collections.Counter(), collections.defaultdict(collections.Counter)
    group_of = {}
    for phrases in reports.values():
        counts.update(dict.fromkeys(map(normalise_name, phrases), 1))
        for text, group in phrases.items():
            spelled[normalise_name(text)][text] += 1
            group_of[normalise_name(text)] = group
    frequent = [key for key, count in counts.most_common() if count >= concepts.min_reports][: concepts.max_descriptors]
    if not frequent:
        raise UserError(
            f"{studies.origin}: of {len(reports)} reports, no descriptor stands in {concepts.min_reports}; "
            "set concepts.min_reports lower"
        )
    groups: dict[str, list[str]] = {}
    for key in frequent:
        groups.setdefault(group_of[key], []).append(spelled[key].most_common(1)[0][0])
    return Descriptors.from_groups(groups, f"{studies.origin}, reports", least=1)


def _held(rows: Sequence[dict[str, str]], descriptors: Descriptors) -> Bool[np.ndarray, "studies concepts"]:
    keys = [normalise_name(phrase) for phrase in descriptors.phrases]
    said = [set(map(normalise_name, row)) for row in rows]
    return np.array([[key in row for key in keys] for row in said])

"""Explanations of a user's own pictures."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from absl import logging

from ecor_jax.atomic import write_json
from ecor_jax.checkpoints.tuned import Tuned, TunedModel, load_tuned
from ecor_jax.config import comma_list
from ecor_jax.data.array_records import is_array_records
from ecor_jax.data.decode import picture_of
from ecor_jax.data.encode import Encode
from ecor_jax.data.files import IMAGE_SUFFIXES, open_files, read_picture
from ecor_jax.data.images import open_images, splits_of
from ecor_jax.data.joined import join_rationales
from ecor_jax.data.pipeline import eval_batches
from ecor_jax.data.records import Record
from ecor_jax.data.sources import InOrder
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError
from ecor_jax.metrics.doubly_right import majority_vote
from ecor_jax.pages.page import write_page
from ecor_jax.parallel.mesh import make_mesh
from ecor_jax.tasks.rationale.data import fitting
from ecor_jax.tasks.rationale.explanation import ExplainedPicture, explanation_of
from ecor_jax.tasks.rationale.methods import find_methods, make_banks, over_context
from ecor_jax.tasks.rationale.model import RationaleModel
from ecor_jax.tasks.rationale.predict import Predictions, predict
from ecor_jax.untrusted.archives import is_zip


def run(
    model: str,
    images: Sequence[Path],
    output: Path,
    rationales: Path | None = None,
    method: str = "",
    top_k: int = 5,
    on_long: str = "error",
) -> Path:
    """Writes a page that explains the pictures of `images`, with explanations.json beside it; returns its path."""
    records = read_pictures(images)
    loaded = load_tuned(model)
    vocabulary = Vocabulary.from_json(rationales) if rationales else loaded.vocabulary
    if vocabulary is None:
        raise UserError(f"{model} is a plain CLIP: --rationales is needed, a JSON file {{class: [rationale, ...]}}")
    if loaded.rationales_per_prompt != 1:
        vocabulary = join_rationales(vocabulary, loaded.rationales_per_prompt).vocabulary
    chosen, left_out = _methods(loaded, method), []
    too_long = over_context([tuned.method for tuned in chosen.values()], loaded.model, vocabulary)
    vocabulary = fitting(vocabulary, too_long, on_long, left_out)
    for line in left_out:
        logging.warning("left out: %s", line)
    pairs = len(vocabulary.classes) * len(vocabulary.rationales)
    if not 1 <= top_k <= pairs:
        raise UserError(f"--top_k is {top_k}; expected 1 to {pairs}, the number of pairs")
    answers = {name: _answers(loaded, tuned, vocabulary, records, top_k, name) for name, tuned in chosen.items()}
    voted = {name: majority_vote(predictions.categories) for name, predictions in answers.items()}
    pictures = [
        ExplainedPicture(
            record["name"],
            picture_of(record),
            [
                explanation_of(name, predictions, number, vocabulary, voted[name][number])
                for name, predictions in answers.items()
            ],
        )
        for number, record in enumerate(records)
    ]
    page = write_page(
        output,
        "rationale.html",
        title=Path(records[0]["name"]).name if len(records) == 1 else f"{len(records)} pictures",
        kind=f"Categories with reasons, by {', '.join(answers)}",
        intro="What the model sees in each picture, and why. It knows its own categories alone: a picture of "
        "anything else gets one of them all the same.",
        facts={
            "Model": model,
            "Classes": str(len(vocabulary.classes)),
            "Rationales": str(len(vocabulary.rationales)),
        },
        pictures=pictures,
        left_out=left_out,
    )
    write_json(output / "explanations.json", [picture.to_dict() for picture in pictures])
    return page


def read_pictures(paths: Sequence[Path]) -> list[Record]:
    """The pictures of files, folders, zips and ArrayRecord directories; UserError if none can be read."""
    return _readable(itertools.chain.from_iterable(map(_read, paths)))


def _read(path: Path) -> Iterator[Callable[[], Record]]:
    """Readers of the picture in a file, or of all those of a folder or zip, however deep, or ArrayRecord directory."""
    zipped = is_zip(path) or path.suffix.lower() == ".zip"
    if not path.is_dir() and (path.suffix.lower() in IMAGE_SUFFIXES or not zipped):
        yield functools.partial(_record, functools.partial(read_picture, path), str(path))
    elif is_array_records(path):
        for split in splits_of(path) or ("",):
            source = open_images(path, split=split)
            yield from (functools.partial(source.__getitem__, row) for row in range(len(source)))
    else:
        files = open_files(path)
        for member in files.members:
            yield functools.partial(_record, functools.partial(files.read, member), member)


def _record(read: Callable[[], bytes], name: str) -> Record:
    return Record(image=read(), category="", rationales=(), name=name)


def _readable(readers: Iterable[Callable[[], Record]]) -> list[Record]:
    """The records with a picture; a warning names each of the others, UserError if no picture remains."""
    records, bad = [], []
    for read in readers:
        try:
            record = read()
            picture_of(record)
            records.append(record)
        except UserError as error:
            bad.append(str(error))
    if not records:
        raise UserError(f"no picture can be read: {'; '.join(bad)}")
    for message in bad:
        logging.warning("left out: %s", message)
    return records


def _methods(loaded: TunedModel, names: str) -> dict[str, Tuned]:
    if not names:
        return dict(loaded.tuned) or {"ecor": Tuned(find_methods(("ecor",))["ecor"], None)}
    chosen = {}
    for name, method in find_methods(comma_list(names)).items():
        if loaded.tuned and method.tuned and name not in loaded.tuned:
            raise UserError(f"{loaded.model.path}: no prompts for {name!r}; it has those of {', '.join(loaded.tuned)}")
        chosen[name] = loaded.tuned.get(name, Tuned(method, None))
    return chosen


def _answers(
    loaded: TunedModel, tuned: Tuned, vocabulary: Vocabulary, records: Sequence[Record], top_k: int, name: str
) -> Predictions:
    model = RationaleModel(loaded.model, tuned.prompts, make_banks(tuned.method, loaded.model, vocabulary))
    encode = Encode(loaded.model.preprocess)
    mesh = make_mesh()
    batch = min(64, len(records))
    batch += -batch % mesh.shape["data"]
    batches = eval_batches(InOrder(records, origin="the pictures to explain"), encode, batch_size=batch)
    return predict(model, tuned.method, batches, top_k=top_k, mesh=mesh, total=len(records), name=name)

"""The base class of tasks, and the driver that trains (`run`) and evaluates (`evaluate`) any of them, for `api.py`.

A method is one of the models that a task compares. A task names its methods and defines how each is trained (or not),
evaluated, saved and shown. The driver claims the workdir, runs the methods sequentially and writes their results.
"""

import abc
import importlib
import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from flax import nnx
from jax.sharding import Mesh

from ecor_jax.aot.compiled import Step
from ecor_jax.atomic import new_file
from ecor_jax.checkpoints.card import write_card
from ecor_jax.checkpoints.hub import local_copy
from ecor_jax.checkpoints.model_dir import check_new
from ecor_jax.checkpoints.origin import UNKNOWN, Origin
from ecor_jax.config.options import Config, defaults_of, plain, read
from ecor_jax.data.captions import Captions
from ecor_jax.data.records import Source
from ecor_jax.data.tally import Tally
from ecor_jax.errors import UserError
from ecor_jax.pages.page import write_page
from ecor_jax.parallel.endings import set_timeout
from ecor_jax.parallel.mesh import FSDP, make_mesh
from ecor_jax.parallel.processes import (
    assert_same,
    barrier,
    broadcast_from_first,
    code_digest,
    enter_on_first,
    is_first,
)
from ecor_jax.tasks.explainer import Explainer
from ecor_jax.tasks.outcomes import Outcomes, write_outcomes
from ecor_jax.training.loop import Validate, train
from ecor_jax.training.metrics_log import read_metrics
from ecor_jax.training.options import Training
from ecor_jax.training.step import Learner
from ecor_jax.training.workdir import check_shared, locked_workdir, write_results

TASKS = {
    "rationale": "ecor_jax.tasks.rationale.task:Rationale",
    "verification": "ecor_jax.tasks.verification.task:Verification",
    "concepts": "ecor_jax.tasks.concepts.task:ConceptBottleneck",
    "pretrain": "ecor_jax.tasks.pretrain.task:Pretrain",
}
"""Module and class of each built-in task; `config.task` may also be the MODULE:CLASS of a user's task."""

TaskOptions = TypeVar("TaskOptions", bound=Training)
Evaluation = TypeVar("Evaluation")


class MethodResult(NamedTuple, Generic[Evaluation]):
    """The model of a method, its evaluation, and the duration of its training and evaluation in seconds."""

    model: Any
    evaluation: Evaluation
    seconds: float


class Task(abc.ABC, Generic[TaskOptions, Evaluation]):
    """A kind of run, with its options. The constructor of a subclass checks them before any expensive work.

    options: the options of the config. training: whether methods are trained; else a saved model is evaluated.
    """

    Options: ClassVar[type]
    """The dataclass of the task's options: a subclass of `Training`."""

    may_change: ClassVar[frozenset[str]] = frozenset(
        {"data.workers", "profile", "parallel.model", "parallel.peer_timeout", "parallel.remat", "parallel.fsdp"}
    )
    """Options that do not affect the results of a run, such as those of sharding: a resumed run may change them."""

    methods: Collection[str]
    """The names of the methods, in the order of the results; `open` may set them."""

    tally: Tally
    """Counts of the files that the task reads: the entry "data" of results.json."""

    origin: Origin
    """The origin of the weights that `open` loaded: the entry "model" of results.json."""

    def __init__(self, options: TaskOptions, *, training: bool):
        self.options, self.training, self.tally, self.origin = options, training, Tally(), UNKNOWN
        self.mesh = make_mesh(options.parallel.model)

    @property
    def needs_clip(self) -> bool:
        """Whether the task needs a CLIP, so that one is pretrained if the options name no model."""
        return True

    def captions(self) -> tuple[Source, Captions] | None:
        """Returns the pictures and captions to pretrain a CLIP on; None for those that `options.pretrain` names."""
        return None

    @abc.abstractmethod
    def open(self, model: str) -> None:
        """Loads the model that all methods share, from a directory or hub id."""

    @abc.abstractmethod
    def learner(self, method: str) -> Learner | None:
        """Returns the learner that the training loop trains for a method; None if the method is not trained."""

    def validate(self, method: str) -> Validate | None:
        """Returns a function that evaluates a learner's model on the validation split; None if there is no split."""
        return None

    @abc.abstractmethod
    def model(self, method: str, trained: nnx.Module | None) -> Any:
        """Returns a method's model, to evaluate and save: from `trained` or, if that is None, from `open`'s model."""

    @abc.abstractmethod
    def evaluate(self, method: str, model: Any) -> Evaluation:
        """Evaluates the model of a method on the test split."""

    def save(self, directory: Path, evaluated: Mapping[str, MethodResult[Evaluation]]) -> bool:
        """Writes the model directory of a run and returns True; returns False if there is no model to save."""
        return False

    def results(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> dict[str, Any]:
        """Returns the content of results.json; {} if nothing is evaluated. The default needs {metric: number}."""
        return {"seed": self.options.seed, "methods": {name: own.evaluation for name, own in evaluated.items()}}

    def table(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> str:
        """Returns the results as text for a terminal."""
        lines = []
        for name, numbers in self.results(evaluated)["methods"].items():
            lines.append(f"{name:28}" + "  ".join(f"{key} {value:.4g}" for key, value in numbers.items()))
        return "\n".join(lines)

    def page(
        self, directory: Path, evaluated: Mapping[str, MethodResult[Evaluation]], results: Mapping[str, Any], log: "Log"
    ) -> Path:
        """Writes the report page of a run or an evaluation and returns its path."""
        shown = {"title": self.options.task, "results": results["methods"], "metrics": log.metrics}
        return write_page(directory, "generic.html", **shown)

    def answers(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> Iterable[Mapping[str, Any]]:
        """Returns the predictions for each picture (or pair) of the test split, as plain values."""
        raise UserError(f"a config of the task {self.options.task!r} has no answers a picture")

    def outcomes(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> Mapping[str, Outcomes]:
        """Returns what each test example contributes to means in results.json, by the path of the dict they are in."""
        return {}

    @staticmethod
    def aot_steps(options: Any, mesh: Mesh, sizes: Any) -> Mapping[str, Step]:
        """Returns the steps "train" and "evaluate", traced for array shapes alone, to compile ahead of time.

        sizes: an `aot.steps.Sizes`.
        """
        raise UserError(f"the task {options.task!r} has no steps to compile ahead of time")

    @classmethod
    def holds(cls, directory: Path) -> bool:
        """Returns whether a model directory was saved by this task."""
        return False

    @classmethod
    def explainer(cls, model: str) -> Explainer:
        """Loads the explainer of a model directory of this task."""
        raise UserError(f"{model}: the task {cls.__name__} explains no pictures")


class Log(NamedTuple):
    """What a page says of a run or an evaluation.

    metrics: lines of metrics.jsonl. model: the model directory, if one was written. opened: the directory or hub id of
    the model that `Task.open` loaded; "" for one that was pretrained in this run.
    """

    metrics: Sequence[Mapping[str, Any]] = ()
    model: Path | None = None
    opened: str = ""


def task_of(name: str) -> type[Task]:
    """Returns the task class for a name of TASKS or MODULE:CLASS. Raises UserError if there is no such task."""
    module, colon, attribute = TASKS.get(name, name).partition(":")
    if not colon:
        raise UserError(f"task is {name!r}; expected one of {', '.join(TASKS)}, or MODULE:CLASS of your own")
    try:
        task = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"task is {name!r}, which cannot be imported ({error})") from error
    if not (isinstance(task, type) and issubclass(task, Task)):
        raise UserError(f"task is {name!r}; expected a subclass of ecor_jax.tasks.base.Task")
    return task


def options_of(config: Config) -> tuple[type[Task], Any]:
    """Returns the task class that a config names, and its validated options."""
    if "task" not in config:
        raise UserError("the config names no task; start from one of those in configs/")
    task = task_of(config["task"])
    return task, read(task.Options, config)


def run(config: Config, workdir: Path) -> dict[str, Any]:
    """Trains and evaluates every method of a config: writes model/, results.json and report/ and returns the results.

    Raises UserError, before any other work, if `workdir` holds a run of another config.
    """
    return _run(*options_of(config), workdir)


def _run(task_class: type[Task], options: Any, workdir: Path, **given: Any) -> dict[str, Any]:
    if options.best and not options.eval_every:
        raise UserError(f"best is {options.best!r}, but eval_every is 0: nothing is evaluated on the way")
    resolved = plain(options)
    _check_alike(options)
    claim = enter_on_first(locked_workdir(workdir, resolved, defaults_of(options), task_class.may_change))
    with claim, FSDP(options.parallel.fsdp):
        check_shared(workdir)
        broadcast_from_first(lambda: check_new(workdir / "model", overwrite=True))
        task = task_class(options, training=True, **given)
        task.open(options.model or _pretrained(task, workdir))
        _log_files(task)
        evaluated = {}
        for name in task.methods:
            start, learner = time.perf_counter(), task.learner(name)
            trained = None if learner is None else train(learner, options, workdir, name, _validate(task, name))
            evaluated[name] = _evaluated(task, name, trained, start)
        results = _results(task, evaluated)

        def write() -> None:
            saved = workdir / "model" if task.save(workdir / "model", evaluated) else None
            if results:
                print(task.table(evaluated))
                write_outcomes(workdir / "outcomes.safetensors", task.outcomes(evaluated))
                write_results(workdir / "results.json", resolved, results)
                log = Log(read_metrics(workdir / "metrics.jsonl"), saved, options.model)
                print(f"page: {task.page(workdir / 'report', evaluated, results, log)}")
            if saved is not None and (saved / "config.json").is_file():  # a user's task may save anything
                write_card(saved, results, pretrained=options.task == "pretrain")

        broadcast_from_first(write)
        return results


def _log_files(task: Task) -> None:
    if task.tally.found and is_first():
        task.tally.log()


def _check_alike(options: Training) -> None:
    """Raises UserError if the processes of a run have different configs or package code."""
    set_timeout(options.parallel.peer_timeout)
    assert_same("the config", lambda: plain(options))
    assert_same("the code", code_digest)


def _pretrained(task: Task, workdir: Path) -> str:
    """Pretrains a CLIP in `workdir`/clip, unless it exists, and returns its directory; "" if none is to be trained."""
    first = getattr(task.options, "pretrain", None)
    if first is None or not task.needs_clip:
        return ""
    folder = workdir / "clip"
    there = broadcast_from_first(lambda: (folder / "model").is_dir())
    if is_first():
        print(f"1/2 pretrain: a CLIP, {first.steps} steps{', is there already' if there else ''} ({folder})")
    if not there:
        captions = task.captions()
        _run(task_of(first.task), first, folder, **({} if captions is None else {"captions": captions}))
    barrier()
    if is_first():
        print(f"2/2 {task.options.task}: {', '.join(task.methods)} ({workdir})")
    return str(folder / "model")


def _evaluated(task: Task, name: str, trained: nnx.Module | None, start: float) -> MethodResult:
    model = task.model(name, trained)
    evaluation = task.evaluate(name, model)
    return MethodResult(model, evaluation, time.perf_counter() - start)


def _results(task: Task, evaluated: Mapping[str, MethodResult]) -> dict[str, Any]:
    results = task.results(evaluated)
    of_data = task.tally.as_results() if task.tally.found else {}
    of_files = {"data": of_data, "model": task.origin.as_fields(read=True)}
    return results and results | {name: fields for name, fields in of_files.items() if fields}


def _validate(task: Task, name: str) -> Validate | None:
    validate = task.validate(name)
    if validate is None and (task.options.eval_every or task.options.best):
        raise UserError(
            f"eval_every is {task.options.eval_every} and best {task.options.best!r}, but the config keeps no "
            "validation split (data.validation)"
        )
    return validate


def evaluate(
    config: Config,
    model: str,
    output: Path | None = None,
    report: Path | None = None,
    answers: Path | None = None,
    outcomes: Path | None = None,
) -> tuple[dict[str, Any], str]:
    """Evaluates a model directory (or hub id) on the data of a config; returns the results and a table of them.

    output: path of results.json. report: folder of the page. answers: path of a file with a JSON object per picture.
    outcomes: path of a file of `tasks.outcomes`.
    """
    task_class, options = options_of(config)
    _check_alike(options)
    task = task_class(options, training=False)
    with FSDP(options.parallel.fsdp):
        task.open(model)
        _log_files(task)
        evaluated = {name: _evaluated(task, name, None, time.perf_counter()) for name in task.methods}
    results = _results(task, evaluated)
    if not results:
        raise UserError(f"a config of the task {options.task!r} has nothing to evaluate by")

    def write() -> str:
        if output is not None:
            write_results(output, plain(options), results)
        page = None if report is None else task.page(report, evaluated, results, Log(opened=model))
        if outcomes is not None:
            write_outcomes(outcomes, task.outcomes(evaluated))
        if answers is not None:
            lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in task.answers(evaluated))
            with new_file(answers) as partial, partial.open("w") as file:
                file.writelines(lines)
        return task.table(evaluated) + ("" if page is None else f"\npage: {page}")

    return results, broadcast_from_first(write)


def check_batch_sizes(options: Any, devices: int, *, training: bool, where: str = "in use") -> None:
    """Raises UserError if a batch size is not a multiple of the number of devices."""
    for group in ("data", "evaluation") if training else ("evaluation",):
        if (size := getattr(getattr(options, group, None), "batch_size", devices)) % devices:
            raise UserError(f"{group}.batch_size is {size}; expected a multiple of {devices}, the devices {where}")


def load_explainer(model: str, task: str = "") -> Explainer:
    """Loads the explainer of a model directory (or hub id).

    task: a name of TASKS, or MODULE:CLASS; by default the built-in task that the directory belongs to (`holds`).
    """
    if not task:
        path = local_copy(model)
        task = next(name for name in TASKS if task_of(name).holds(path))
    return task_of(task).explainer(model)

"""What a task is, and the one driver of all tasks: from a config to a workdir, from a model to results.

A task says which methods it has, how each is trained (or not), evaluated, saved and shown. The driver keeps the folder,
goes over the methods, and writes what they give.
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
from ecor_jax.config.options import Config, plain, read
from ecor_jax.data.captions import Captions
from ecor_jax.data.records import Source
from ecor_jax.data.tally import Tally
from ecor_jax.errors import UserError
from ecor_jax.pages.page import write_page
from ecor_jax.parallel.endings import set_timeout
from ecor_jax.parallel.mesh import FSDP, make_mesh
from ecor_jax.parallel.processes import assert_same, broadcast_from_first, code_digest, enter_on_first, is_first, wait
from ecor_jax.tasks.explainer import Explainer
from ecor_jax.training.loop import Validate, train
from ecor_jax.training.metrics_log import read_metrics
from ecor_jax.training.options import Training
from ecor_jax.training.step import Learner
from ecor_jax.training.workdir import check_shared, claimed, write_results

TASKS = {
    "pretrain": "ecor_jax.tasks.pretrain.task:Pretrain",
    "rationale": "ecor_jax.tasks.rationale.task:Rationale",
    "verification": "ecor_jax.tasks.verification.task:Verification",
    "concepts": "ecor_jax.tasks.concepts.task:ConceptBottleneck",
}
"""Module and class of each name; `config.task` may also be a MODULE:CLASS of the user's own."""

TaskOptions = TypeVar("TaskOptions", bound=Training)
Evaluation = TypeVar("Evaluation")


class MethodResult(NamedTuple, Generic[Evaluation]):
    """What became of a method: its model, how that was evaluated, and the seconds that both took."""

    model: Any
    evaluation: Evaluation
    seconds: float


class Task(abc.ABC, Generic[TaskOptions, Evaluation]):
    """One kind of run. What it is made with is checked before anything that takes time.

    options: of the config. training: whether methods are trained, or those of a model directory evaluated.
    """

    Options: ClassVar[type]
    """The dataclass of its options: a subclass of `Training`."""

    may_change: ClassVar[frozenset[str]] = frozenset(
        {
            "data.workers",
            "profile",
            "parallel.model",
            "parallel.peer_timeout",
            "parallel.remat",
            "parallel.fsdp",
        }
    )
    """Options that change how a run is shared out, not what comes of it: a run may go on with others."""

    methods: Collection[str]
    """Names of what is trained or evaluated, in the order of the results; `open` may set them."""

    tally: Tally
    """What became of the files that the task reads; results.json has it as "data"."""

    origin: Origin
    """Where the weights that `open` loaded are from; results.json has it as "model"."""

    def __init__(self, options: TaskOptions, *, training: bool):
        self.options, self.training, self.tally, self.origin = options, training, Tally(), UNKNOWN
        self.mesh = make_mesh(options.parallel.model)

    @property
    def needs_clip(self) -> bool:
        """Whether a CLIP has to be pretrained where the options name no model."""
        return True

    def captions(self) -> tuple[Source, Captions] | None:
        """Pictures and captions to pretrain a CLIP on; None for those that `options.pretrain` names."""
        return None

    @abc.abstractmethod
    def open(self, model: str) -> None:
        """Loads the model that all methods share: a directory or hub id."""

    @abc.abstractmethod
    def learner(self, method: str) -> Learner | None:
        """What the loop trains for a method; None where nothing is trained."""

    def validate(self, method: str) -> Validate | None:
        """Evaluates a learner's model on the validation split; None where the config keeps none."""
        return None

    @abc.abstractmethod
    def model(self, method: str, trained: nnx.Module | None) -> Any:
        """What is evaluated and kept of a method: made of what the loop gave; if nothing, of what `open` loaded."""

    @abc.abstractmethod
    def evaluate(self, method: str, model: Any) -> Evaluation:
        """How good the model of a method is on the test split."""

    def save(self, directory: Path, evaluated: Mapping[str, MethodResult[Evaluation]]) -> bool:
        """Writes the model directory of a run; False where there is nothing to keep."""
        return False

    def results(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> dict[str, Any]:
        """What results.json holds; {} for a task that is not evaluated. By default evaluations are numbers by name."""
        return {"seed": self.options.seed, "methods": {name: own.evaluation for name, own in evaluated.items()}}

    def table(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> str:
        """The results for a terminal."""
        lines = []
        for name, numbers in self.results(evaluated)["methods"].items():
            lines.append(f"{name:28}" + "  ".join(f"{key} {value:.4g}" for key, value in numbers.items()))
        return "\n".join(lines)

    def page(
        self, directory: Path, evaluated: Mapping[str, MethodResult[Evaluation]], results: Mapping[str, Any], log: "Log"
    ) -> Path:
        """Writes the page of a run or an evaluation."""
        shown = {"title": self.options.task, "results": results["methods"], "metrics": log.metrics}
        return write_page(directory, "generic.html", **shown)

    def answers(self, evaluated: Mapping[str, MethodResult[Evaluation]]) -> Iterable[Mapping[str, Any]]:
        """What was answered for each picture (or pair) of the test split, as plain values."""
        raise UserError(f"a config of the task {self.options.task!r} has no answers a picture")

    @staticmethod
    def aot_steps(options: Any, mesh: Mesh, sizes: Any) -> Mapping[str, Step]:
        """Its steps, "train" and "evaluate", of shapes alone (`tasks.ahead`); sizes: a `tasks.ahead.Sizes`."""
        raise UserError(f"the task {options.task!r} has no steps to compile ahead of time")

    @classmethod
    def holds(cls, directory: Path) -> bool:
        """Whether a model directory was saved by this task."""
        return False

    @classmethod
    def explainer(cls, model: str) -> Explainer:
        """What explains a user's own pictures by a model directory of this task."""
        raise UserError(f"{model}: the task {cls.__name__} explains no pictures")


class Log(NamedTuple):
    """What a page tells of the training. metrics: lines of metrics.jsonl. model: the directory, if one was written."""

    metrics: Sequence[Mapping[str, Any]] = ()
    model: Path | None = None


def task_of(name: str) -> type[Task]:
    """The task of a name of TASKS, or of MODULE:CLASS. UserError if there is none."""
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
    """The task that a config names, and its options, every one checked."""
    if "task" not in config:
        raise UserError("the config names no task; start from one of those in configs/")
    task = task_of(config["task"])
    return task, read(task.Options, config)


def run(config: Config, workdir: Path) -> dict[str, Any]:
    """Trains and evaluates every method of a config: writes model/, results.json and report/ and returns the results.

    UserError, before anything is done, if `workdir` is not for this config.
    """
    return _run(*options_of(config), workdir)


def _run(task_class: type[Task], options: Any, workdir: Path, **given: Any) -> dict[str, Any]:
    if options.best and not options.eval_every:
        raise UserError(f"best is {options.best!r}, but eval_every is 0: nothing is evaluated on the way")
    resolved = plain(options)
    _check_alike(options)
    claim = enter_on_first(claimed(workdir, resolved, plain(task_class.Options()), task_class.may_change))
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
                write_results(workdir / "results.json", resolved, results)
                task.page(workdir / "report", evaluated, results, Log(read_metrics(workdir / "metrics.jsonl"), saved))
            if saved is not None and (saved / "config.json").is_file():  # a task of the user's may keep anything
                write_card(saved, results, pretrained=options.task == "pretrain")

        broadcast_from_first(write)
        return results


def _log_files(task: Task) -> None:
    if task.tally.found and is_first():
        task.tally.log()


def _check_alike(options: Training) -> None:
    """UserError if the processes of a run are of different configs or versions."""
    set_timeout(options.parallel.peer_timeout)
    assert_same("the config", lambda: plain(options))
    assert_same("the code", code_digest)


def _pretrained(task: Task, workdir: Path) -> str:
    """A CLIP made as `options.pretrain` says, below the workdir: the first of two steps."""
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
    wait()
    if is_first():
        print(f"2/2 {task.options.task}: {', '.join(task.methods)} ({workdir})")
    return str(folder / "model")


def _evaluated(task: Task, name: str, trained: nnx.Module | None, start: float) -> MethodResult:
    model = task.model(name, trained)
    evaluation = task.evaluate(name, model)
    return MethodResult(model, evaluation, time.perf_counter() - start)


def _results(task: Task, evaluated: Mapping[str, MethodResult]) -> dict[str, Any]:
    results = task.results(evaluated)
    if not results:
        return results
    of_data = {"data": task.tally.as_results()} if task.tally.found else {}
    of_model = task.origin.as_fields(read=True)
    return results | of_data | ({"model": of_model} if of_model else {})


def _validate(task: Task, name: str) -> Validate | None:
    validate = task.validate(name)
    if validate is None and (task.options.eval_every or task.options.best):
        raise UserError(
            f"eval_every is {task.options.eval_every} and best {task.options.best!r}, but the config keeps no "
            "validation split (data.validation)"
        )
    return validate


def evaluate(
    config: Config, model: str, output: Path | None = None, report: Path | None = None, answers: Path | None = None
) -> tuple[dict[str, Any], str]:
    """Evaluates a model directory (or hub id) on the data of a config; returns the results and a table of them.

    output: results.json. report: folder of a page. answers: a file of one JSON object a picture.
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

    def write() -> None:
        if output is not None:
            write_results(output, plain(options), results)
        if report is not None:
            task.page(report, evaluated, results, Log())
        if answers is not None:
            _write_lines(answers, task.answers(evaluated))

    broadcast_from_first(write)
    return results, task.table(evaluated)


def _write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    with new_file(path) as partial, partial.open("w") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def check_batch_sizes(options: Any, devices: int, *, training: bool) -> None:
    """UserError for a batch that the devices cannot share evenly."""
    for group in ("data", "evaluation") if training else ("evaluation",):
        if (size := getattr(options, group).batch_size) % devices:
            raise UserError(f"{group}.batch_size is {size}; expected a multiple of {devices}, the devices in use")


def load_explainer(model: str, task: str = "") -> Explainer:
    """What explains pictures by a model directory (or hub id).

    task: a name of TASKS, or MODULE:CLASS; empty: what the directory holds. A directory never names code to run.
    """
    if not task:
        path = local_copy(model)
        task = next((name for name in TASKS if task_of(name).holds(path)), "rationale")
    return task_of(task).explainer(model)

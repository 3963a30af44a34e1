"""Formats the results of a benchmark as a page of Markdown (`ecor-jax benchmark --page`)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecor_jax.atomic import new_file
from ecor_jax.benchmarks.run import difference_of, time_of

INTRODUCTION = """# Benchmarks

Made by `ecor-jax benchmark` from [{source}]({source}), on {device} ({versions}).{threads}

All sides of a suite take turns in one process, after a warm-up that compiles them: medians of some rounds, the least
and the largest in brackets. A ratio is taken within a round; above 1, ours is faster. The difference is that of what
both sides made. The share of the peak is that of the machine's own matrix products, measured in the same rounds.
Weights of presets are drawn: they take as long as any. On CPUs PyTorch multiplies float32 matrices by MKL, which is
slow on other processors than Intel's: ratios of one kind of processor do not hold for another.
"""


def write_page(path: Path, report: dict[str, Any], source: Path) -> None:
    """Writes the page: the work of each suite, and a table of all implementations."""
    versions = ", ".join(f"{library} {version}" for library, version in report["versions"].items())
    sides = ", ".join(f"{name} {count}" for name, count in report.get("threads", {}).items())
    threads = f" Threads: {sides}." if sides else ""
    named = source.name if source.parent == path.parent else source
    introduction = INTRODUCTION.format(source=named, device=report["device"], versions=versions, threads=threads)
    with new_file(path) as partial:
        partial.write_text("\n".join([introduction, *tables(report)]))


def headline(report: dict[str, Any]) -> list[str]:
    """Returns a table of all suites with the fastest peer that does the same work; empty without peers."""
    lines = []
    for name, result in report["suites"].items():
        whole = [peer for peer, difference in result["agreement"].items() if difference is not None]
        if whole:
            best = min(whole, key=lambda peer: result["peers"][peer]["median"])
            ours = f"{1 / result['ours']['median']:,.1f} {result['unit']}s a second"
            lines.append(f"| {name} | {ours} | {best} | {_spread(result['ratio'][best], '{:.2f}'.format)} |")
    return ["| | ours | the fastest other | ours is faster by |", "|---|---|---|---|", *lines, ""] if lines else []


def tables(report: dict[str, Any]) -> list[str]:
    """Returns lines of Markdown: a table of all suites, the suites left out and why, then a table of each suite."""
    lines = [*headline(report)]
    lines += [f"Left out: {name}: {reason}.\n" for name, reason in report.get("left_out", {}).items()]
    for name, result in report["suites"].items():
        work = f"{result['work']}; {result['rounds']} rounds."
        lines += [f"## {name}", work, *_beside(result), "", *_table(result), ""]
    return lines


def _beside(result: dict[str, Any]) -> list[str]:
    lines = []
    if result["peak_share"]:
        peak = result["peak_flops"] / 1e9
        lines.append(f"Ours runs at {100 * result['peak_share']:.0f} % of the matrix peak of {peak:,.0f} GFLOP/s.")
    if result["peak_bytes"]:
        lines.append(f"Its program takes {result['peak_bytes'] / 2**20:,.0f} MiB.")
    if tokens := result.get("tokens"):
        lines.append(f"Tokens: {', '.join(f'{count:,} {name}' for name, count in tokens.items())}.")
    return lines


def _table(result: dict[str, Any]) -> list[str]:
    unit = result["unit"]
    lines = [
        f"| | a {unit} | {unit}s a second | ours is faster by | difference |",
        "|---|---|---|---|---|",
        f"| ours | {_spread(result['ours'])} | {1 / result['ours']['median']:,.1f} | | |",
    ]
    for peer, times in result["peers"].items():
        faster = _spread(result["ratio"][peer], "{:.2f}".format)
        difference = difference_of(result["agreement"][peer])
        lines.append(f"| {peer} | {_spread(times)} | {1 / times['median']:,.1f} | {faster} | {difference} |")
    return lines


def _spread(values: dict[str, float], write: Callable[[float], str] = time_of) -> str:
    return f"{write(values['median'])} ({write(values['min'])} to {write(values['max'])})"

"""Parsing of compiled HLO (collectives) and of the compiler's memory usage report (largest buffers)."""

import math
import re
from collections import Counter
from typing import NamedTuple

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast")
_BITS = {"pred": 8, "s4": 4, "u4": 4, "s8": 8, "u8": 8, "bf16": 16, "f16": 16, "s16": 16, "u16": 16, "f64": 64}
_BITS |= {"s64": 64, "u64": 64, "c64": 64, "c128": 128} | dict.fromkeys(("f8e4m3fn", "f8e5m2", "f8e4m3", "f8e3m4"), 8)
_SHAPE = re.compile(r"([a-z]\w*)\[([\d,]*)\]")
_START = re.compile(r"(ENTRY )?%?([\w.-]+) \(.*\) -> .*\{$")
_RESULT = re.compile(r"(?:ROOT )?%?[\w.-]+ = (.*?) ([a-z][\w-]*)\(")
_CALLS = re.compile(r"(?:body|condition|to_apply|calls|\w+_computations?)=(\{[^}]*\}|%?[\w.-]+)")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_GROUPS = re.compile(r"replica_groups=(?:\{\{([\d,]*)\}|\[\d+,(\d+)\])")
_MESH = re.compile(r"replica_groups=mesh\[([^\]]*)\][^{]*\{([^}]*)\}")
_LIMIT = re.compile(r"%?([\w.-]+) = s32\[\]\S* constant\((\d+)\)")
_BELOW = re.compile(r"ROOT .* compare\([^)]*?%?([\w.-]+)\), direction=LT")
_CONDITION = re.compile(r"condition=%?([\w.-]+)")
_NAME = re.compile(r'op_name="([^"]*)"')
_CHAIN = re.compile(r'channel_id=(\d+),.*chain_id="(\d+)"')


class Collective(NamedTuple):
    """A collective operation of a compiled program.

    bytes: of the result on one device. group: number of participating devices; 0 for all. times: executions in a step;
    loops of unknown trip count count as one iteration. name: the operation it belongs to, if known.
    """

    kind: str
    bytes: int
    group: int
    times: int
    name: str = ""

    def sent(self, devices: int) -> float:
        """Returns the bytes that a device sends in all executions with a ring algorithm, a lower bound."""
        group = self.group or devices
        share = {"all-reduce": 2 * (group - 1) / group, "reduce-scatter": group - 1, "collective-permute": 1}
        return self.times * self.bytes * share.get(self.kind, (group - 1) / group)


def collectives(text: str) -> list[Collective]:
    """Returns all collectives of a compiled program with the HLO `text`."""
    found: list[tuple[str, Collective]] = []
    # Callers of each computation, and how often they call it: a number, or the name of the loop's condition, to look up
    # in `limits`.
    callers: dict[str, list[tuple[str, int | str]]] = {}
    limits: dict[str, int] = {}
    chains: set[tuple[str, ...]] = set()
    constants: dict[str, int] = {}
    inside = entry = ""
    for line in map(str.strip, text.splitlines()):
        if start := _START.match(line):
            inside = start[2]
            entry, constants = inside if start[1] else entry, {}
        elif result := _RESULT.match(line):
            shape, operation = result.groups()
            if not operation.endswith(("-done", "-update")):
                rounds: int | str = 1
                if operation == "while":
                    told, condition = _TRIPS.search(line), _CONDITION.search(line)
                    rounds = int(told[1]) if told else condition[1] if condition else 1
                for names in _CALLS.findall(line):
                    for name in names.strip("{}").split(","):
                        called = callers.setdefault(name.strip().lstrip("%"), [])
                        called.append((inside, rounds))
            if limit := _LIMIT.match(line):
                constants[limit[1]] = int(limit[2])
            elif (below := _BELOW.match(line)) and below[1] in constants:
                limits[inside] = constants[below[1]]
            kind = operation.removesuffix("-start")
            # TPUs overlap a collective with several fusions, each of which contains a piece of it: count it once.
            chain = _CHAIN.search(line)
            if kind in KINDS and not (chain and chain.groups() in chains):
                chains |= {chain.groups()} if chain else set()
                sizes = [_bytes(*part) for part in _SHAPE.findall(shape)]
                # The shape of an asynchronous start is a tuple of its operand and its result; the larger one counts.
                both = operation.endswith("-start") and kind in ("all-gather", "collective-permute")
                size, name = max(sizes) if both else sum(sizes), _NAME.search(line)
                found.append((inside, Collective(kind, size, _group(line), 1, name[1] if name else "")))

    def times(name: str) -> int:
        if name == entry:
            return 1
        return sum(
            times(caller) * (count if isinstance(count, int) else limits.get(count, 1))
            for caller, count in callers.get(name, [])
        )

    return [collective._replace(times=times(name)) for name, collective in found]


def _group(line: str) -> int:
    if mesh := _MESH.search(line):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", mesh[1]))
        return math.prod(int(part or sizes[axis]) for axis, part in re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?", mesh[2]))
    group = _GROUPS.search(line)
    return len(group[1].split(",")) if group and group[1] else int(group[2]) if group and group[2] else 0


def summary(found: list[Collective]) -> dict[str, dict[str, int]]:
    """Returns, by kind, the executions in a step, their total bytes on a device, and the bytes of the largest."""
    kinds = {}
    for kind in sorted({collective.kind for collective in found}):
        own = [collective for collective in found if collective.kind == kind]
        kinds[kind] = {
            "count": sum(collective.times for collective in own),
            "bytes": sum(collective.times * collective.bytes for collective in own),
            "largest_bytes": max(collective.bytes for collective in own),
        }
    return kinds


def _bytes(kind: str, sizes: str) -> int:
    count = 1
    for size in filter(None, sizes.split(",")):
        count *= int(size)
    return count * _BITS.get(kind, 32) // 8


def largest(report: str, count: int = 3) -> tuple[int, list[str]]:
    """Returns a device's total bytes, as the report states, and its largest buffers as texts: count, shape and size."""
    default = report.split("\nMemory Space: ")[0]
    total = re.search(r"\nTotal bytes: (\d+)", default)
    buffers: Counter[tuple[float, str]] = Counter()
    for size, unit, shapes in re.findall(r"%\); *([\d.]+)([KMGT]iB); *\d+; *\d+; (.*)$", default, re.MULTILINE):
        # Arrays that are not live together share a buffer, which is as large as the largest.
        kind, axes = max(_SHAPE.findall(shapes), key=lambda shape: _bytes(*shape))
        buffers[float(size) * 1024 ** "KMGT".index(unit[0]), f"{kind}[{axes}] of {size} {unit}"] += 1
    told = [f"{number} x {name}" for (_, name), number in sorted(buffers.items(), reverse=True)[:count]]
    return (int(total[1]) if total else 0), told

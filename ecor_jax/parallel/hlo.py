"""What a compiled program says about itself, read from its text and from the compiler's messages."""

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


class Collective(NamedTuple):
    """Devices that exchange arrays.

    bytes: of the result on one device. group: devices that take part, 0: all. times: that it runs in a step; of a
    loop whose rounds the text does not say, one of them.
    """

    kind: str
    bytes: int
    group: int
    times: int

    def sent(self, devices: int) -> float:
        """Bytes that a device has to send at least (by a ring), all times together."""
        group = self.group or devices
        share = {"all-reduce": 2 * (group - 1) / group, "reduce-scatter": group - 1, "collective-permute": 1}
        return self.times * self.bytes * share.get(self.kind, (group - 1) / group)


def collectives(text: str) -> list[Collective]:
    """All collectives of a compiled program, of which `text` is the HLO."""
    found: list[tuple[str, Collective]] = []
    callers: dict[str, list[tuple[str, int]]] = {}
    inside = entry = ""
    for line in map(str.strip, text.splitlines()):
        if start := _START.match(line):
            inside = start[2]
            entry = inside if start[1] else entry
        elif result := _RESULT.match(line):
            shape, operation = result.groups()
            if not operation.endswith(("-done", "-update")):
                rounds = _TRIPS.search(line) if operation == "while" else None
                for names in _CALLS.findall(line):
                    for name in names.strip("{}").split(","):
                        called = callers.setdefault(name.strip().lstrip("%"), [])
                        called.append((inside, int(rounds[1]) if rounds else 1))
            kind = operation.removesuffix("-start")
            if kind in KINDS:
                sizes = [_bytes(*part) for part in _SHAPE.findall(shape)]
                # What is under way has its operand beside its result.
                both = operation.endswith("-start") and kind in ("all-gather", "collective-permute")
                group = _GROUPS.search(line)
                size = len(group[1].split(",")) if group and group[1] else int(group[2]) if group and group[2] else 0
                found.append((inside, Collective(kind, max(sizes) if both else sum(sizes), size, 1)))

    def times(name: str) -> int:
        return 1 if name == entry else sum(count * times(caller) for caller, count in callers.get(name, []))

    return [collective._replace(times=times(name)) for name, collective in found]


def summary(found: list[Collective]) -> dict[str, dict[str, int]]:
    """By kind: how many run in a step, their bytes on a device together, and those of the largest."""
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
    """All bytes that a device needs by a memory usage report, and its largest buffers: shape, size and how many."""
    default = report.split("\nMemory Space: ")[0]
    total = re.search(r"\nTotal bytes: (\d+)", default)
    buffers: Counter[tuple[float, str]] = Counter()
    for size, unit, shapes in re.findall(r"%\); *([\d.]+)([KMGT]iB); *\d+; *\d+; (.*)$", default, re.MULTILINE):
        # Several arrays, one after the other, share a buffer: it is as large as the largest.
        kind, axes = max(_SHAPE.findall(shapes), key=lambda shape: _bytes(*shape))
        buffers[float(size) * 1024 ** "KMGT".index(unit[0]), f"{kind}[{axes}] of {size} {unit}"] += 1
    told = [f"{number} x {name}" for (_, name), number in sorted(buffers.items(), reverse=True)[:count]]
    return (int(total[1]) if total else 0), told

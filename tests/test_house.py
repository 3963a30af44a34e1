"""Every import goes down, as the table of docs/architecture.md says, and its drawing shows the imports.

`python tests/test_house.py` prints the drawing.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for top in ("ecor_jax", "configs", "launch")
    for path in sorted((ROOT / top).rglob("*.py"))
}


def floors() -> dict[str, int]:
    """The row of each room in the table, from the top."""
    section = (ROOT / "docs" / "architecture.md").read_text().split("\n## Who may import whom\n")[1].split("\n## ")[0]
    rows = [re.findall(r"`(\w+)`", line) for line in section.splitlines() if line.startswith("| `")]
    return {room: number for number, row in enumerate(rows) for room in row}


def room(module: str) -> str:
    top, *rest = module.split(".")
    return rest[0] if top == "ecor_jax" and rest else top


@cache
def imports(module: str) -> list[tuple[str, str]]:
    """Modules of the project that a module imports anywhere in its file, and the name it takes from each."""
    found = []
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.append((whole, "") if whole in FILES else (str(node.module), alias.name))
    return [(name, taken) for name, taken in found if name in FILES]


def circles() -> Iterator[list[str]]:
    done: set[str] = set()

    def walk(path: list[str]) -> Iterator[list[str]]:
        for name, _ in imports(path[-1]):
            if name in path:
                yield [*path[path.index(name) :], name]
            elif name not in done:
                yield from walk([*path, name])
        done.add(path[-1])

    for module in FILES:
        yield from walk([module])


def arrows() -> dict[str, set[str]]:
    """The rooms that each room of the package imports from."""
    found: dict[str, set[str]] = {room(module): set() for module in FILES}
    for module in FILES:
        found[room(module)] |= {room(name) for name, _ in imports(module)} - {room(module)}
    return found


def drawing() -> str:
    """A Mermaid flowchart of the rooms. An import that a chain of other imports implies has no arrow."""

    def below(start: str) -> set[str]:
        return direct[start].union(*(below(name) for name in direct[start]))

    direct = arrows()
    lines = [
        f"    {start} --> {end}"
        for start in sorted(direct)
        for end in sorted(direct[start] - set().union(*(below(name) for name in direct[start])))
    ]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


def test_the_drawing_shows_the_imports():
    assert drawing() in (ROOT / "docs" / "architecture.md").read_text(), "run: python tests/test_house.py"


def test_the_table_names_every_room():
    assert floors().keys() == {room(module) for module in FILES}


def test_every_import_goes_down():
    floor = floors()
    upward = [
        f"{module} imports {name}"
        for module in FILES
        for name, _ in imports(module)
        if room(module) != room(name) and floor[room(name)] >= floor[room(module)]
    ]
    assert upward == []


def test_no_circle_between_modules():
    assert list(circles()) == []


def test_no_private_name_is_imported_by_another_file():
    assert [f"{m} takes {n} of {x}" for m in FILES for x, n in imports(m) if n.startswith("_")] == []


if __name__ == "__main__":
    print(drawing())

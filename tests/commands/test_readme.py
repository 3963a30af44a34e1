"""The README's commands: all have options that exist; those of one's own pictures are run as they stand."""

import json
import re
import shlex
import shutil
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

from ecor_jax.commands import COMMANDS, cli
from ecor_jax.config.options import read
from ecor_jax.tables.options import Table
from ecor_jax.tasks.base import options_of

TEXT = (Path(__file__).parents[2] / "README.md").read_text()


def commands_of(section: str) -> list[list[str]]:
    """The arguments of every `ecor-jax` command in the blocks of a section, with shell variables filled in."""
    found, variables = [], {}
    for block in re.findall(r"```bash\n(.*?)```", section, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if assigned := re.fullmatch(r'(\w+)="(.*)"', line):
                variables[assigned[1]] = assigned[2]
            for name, value in variables.items():
                line = line.replace(f"${name}", value)
            words = shlex.split(line, comments=True)
            starts = [at for at, word in enumerate(words) if word == "ecor-jax"]
            found += [words[at + 1 :] for at in starts]
    return found


def section(title: str) -> str:
    return re.split(r"\n## ", TEXT.split(f"\n## {title}\n")[1])[0]


# An ellipsis stands for the options of the reader's own run.
WHOLE = [words for words in commands_of(TEXT) if not any("..." in word for word in words)]


@pytest.mark.parametrize("words", WHOLE, ids=lambda words: " ".join(words)[:60])
def test_every_command_has_options_that_exist(words):
    name, *arguments = words
    args = cli.parse(import_module(f"ecor_jax.commands.{name}").parser(), arguments)
    if name == "table":
        read(Table, cli.config_of(args))
    elif getattr(args, "config", None):
        options_of(cli.config_of(args))


def test_the_commands_are_found():
    assert {words[0] for words in commands_of(TEXT)} == set(COMMANDS) and len(WHOLE) > 20


def test_ones_own_pictures(called, tiny_clip, tiny_pictures, tmp_path, monkeypatch):
    """As a newcomer has them: class/picture in a zip, without splits, and one picture more."""
    monkeypatch.chdir(tmp_path)
    images, rationales = tiny_pictures
    with zipfile.ZipFile("photos.zip", "w") as file:
        for path in sorted(images.glob("*/*/*.png")):
            file.write(path, f"photos/{path.parent.name}/{path.parent.parent.name}-{path.name}")
    shutil.copy(rationales, "rationales.json")
    shutil.copy(images / "test" / "cat" / "0.png", "holiday.jpg")
    short = {"train": ["--config.steps=2", "--config.data.batch_size=8"]}
    printed = {}
    for name, *arguments in commands_of(section("Your own pictures")):
        given = [word.replace("openai/clip-vit-base-patch32", str(tiny_clip)) for word in arguments]
        printed[name] = called(import_module(f"ecor_jax.commands.{name}"), *given, *short.get(name, []))
    assert list(printed) == ["train", "evaluate", "explain", "prepare"] and Path("records").is_dir()
    # The second command scores what the first one held out.
    trained, evaluated = (json.loads(Path(path).read_text()) for path in ("runs/mine/results.json", "results.json"))
    assert evaluated["methods"]["ecor"]["count"] == 9 and evaluated["data"]["skipped"] == {"trained on": 30}
    assert evaluated["methods"]["ecor"] == trained["methods"]["ecor"]
    for name, page in (("train", "runs/mine/report"), ("evaluate", "evaluation"), ("explain", "page")):
        assert f"{page}/index.html" in printed[name].splitlines()[-1] and Path(page, "index.html").is_file()

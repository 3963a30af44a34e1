"""The demo in a browser: what is shown, what is told of mistakes, and that nothing leaves this machine or stays."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecor_jax.data.procedural import Procedural

ROOT = Path(__file__).parents[2]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CLASSES = {"bus": ["square windows", "round wheels"], "cow": ["a pink muzzle", "large patches"]}
LIMIT = 120_000
"""Playwright's limit in milliseconds: a busy machine is no failure."""

pytest.importorskip("gradio", reason="needs the extra demo")
api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium or google-chrome")


@contextlib.contextmanager
def served(folder: Path, compiled: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process of a demo of the shipped CLIP with two classes and one example, and its address."""
    from PIL import Image

    (folder / "classes.json").write_text(json.dumps(CLASSES))
    Image.fromarray(Procedural(1, style="pretrain", seed=0)[0]["image"]).save(folder / "bus.png")
    options = ["--model=drawings", "--port=0", "--rationales", folder / "classes.json"]
    command = [sys.executable, "-m", "launch.demo", *map(str, options), "--examples", str(folder / "bus.png")]
    environment = os.environ | {
        "TMPDIR": str(folder / "tmp"),
        "JAX_COMPILATION_CACHE_DIR": str(compiled),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }
    (folder / "tmp").mkdir()
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("open http://127.0.0.1:"), process.communicate()[1]
        yield process, line.split()[1]
    finally:
        process.kill()
        process.communicate()


def test_a_user_tries_the_model(tmp_path, compiled):
    (tmp_path / "text.png").write_text("no picture")
    asked: list[str] = []
    with served(tmp_path, compiled) as (process, address), api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(LIMIT)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        explain, words = page.get_by_role("button", name="Explain"), page.get_by_label("Classes and rationales")
        result, shown = page.locator("#result .problem"), page.frame_locator("#result iframe")

        explain.click()
        assert "there is no picture yet" in result.inner_text()

        page.locator("#examples button").click()
        page.locator("img.preview").wait_for()
        assert words.input_value() == "bus: square windows; round wheels\ncow: a pink muzzle; large patches"
        explain.click()
        assert shown.locator(".vote strong").inner_text() == "bus"
        assert "round wheels" in shown.locator(".pairs").inner_text()

        words.fill("cow: a pink muzzle\ncow without reasons")
        explain.click()
        result.wait_for()
        assert "line 2, 'cow without reasons': expected class: rationale" in result.inner_text()
        words.fill("")
        explain.click()
        result.get_by_text("there is no class").wait_for()

        # Another picture takes the explanation of the one before away.
        page.get_by_label("Clear").click()
        page.locator("img.preview").wait_for(state="detached")
        page.locator("input[type=file]").set_input_files(tmp_path / "text.png")
        assert "is not an image that can be decoded" in page.locator(".chosen .problem").inner_text()
        assert page.locator("#result").inner_text() == "The explanation appears here."

        browser.close()
        process.send_signal(signal.SIGTERM)
        errors = process.communicate()[1]
    assert process.returncode == 143 and "Traceback" not in errors
    assert list((tmp_path / "tmp").glob("*ecor*")) == list((tmp_path / "tmp").glob(".*ecor*")) == []
    own = [url for url in asked if not url.startswith(("data:", "blob:", "about:"))]
    assert own and all(url.startswith(f"{address}/") for url in own)

"""`Page`, the layout of the page and what its buttons do, by the kind of model."""

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ecor_jax.demo import answers, words
from ecor_jax.demo.answers import Dial
from ecor_jax.demo.examples import Example
from ecor_jax.demo.gate import KEPT
from ecor_jax.demo.places import Places
from ecor_jax.tasks.concepts.explain import ConceptExplainer
from ecor_jax.tasks.explainer import Explainer
from ecor_jax.tasks.rationale.explain import RationaleExplainer

QUEUE = 16
"""Maximum number of requests that wait for the one at work."""
EVERY = 300
"""Seconds between Gradio's removals of uploads."""
WAITING = '<p class="waiting">The explanation appears here.</p>'
FIT = """() => {
  for (const frame of document.querySelectorAll("#result iframe")) {
    const watch = () => {
      const body = frame.contentDocument.body;
      new ResizeObserver(() => { frame.style.height = body.offsetHeight + "px"; }).observe(body);
    };
    frame.addEventListener("load", watch);
    watch();
  }
}"""
"""JavaScript that makes the explanation's frame as high as its page."""


class Page:
    """The page for a model: pictures and options on the left, the explanation on the right."""

    def __init__(self, explainer: Explainer, kept: Places, examples: Sequence[Example]):
        import gradio

        self.gr: Any = gradio
        self.explainer, self.kept, self.examples = explainer, kept, examples

    def blocks(self) -> Any:
        """Returns the page as `gradio.Blocks`."""
        title, sentence = _heading(self.explainer)
        gr, name = self.gr, html.escape("/".join(Path(self.explainer.name).parts[-2:]))
        with gr.Blocks(title=title, analytics_enabled=False, fill_width=True, delete_cache=(EVERY, KEPT)) as blocks:
            gr.HTML(f"<h1>{title}</h1><p>{sentence}</p><p class='model'>Model: {name}</p>", elem_id="heading")
            with gr.Row(elem_id="bench"):
                with gr.Column(scale=2, min_width=320, elem_id="given"):
                    self._inputs()
                with gr.Column(scale=3, min_width=320):
                    self.result.render()
        blocks.queue(api_open=False, max_size=QUEUE, default_concurrency_limit=1)
        return blocks

    def _inputs(self) -> None:
        self.result = self.gr.HTML(WAITING, elem_id="result", render=False)
        if self.explainer.pairs:
            self._pair()
        elif isinstance(self.explainer, RationaleExplainer):
            self._rationales()
        elif isinstance(self.explainer, ConceptExplainer):
            self._concepts(self.explainer)
        else:
            picture, button = self._pictures("Picture"), self._button("Explain")
            self._on(button.click, lambda path: answers.of_picture(self.explainer, path), picture, self.result)

    def _rationales(self) -> None:
        gr, explainer = self.gr, self.explainer
        own = words.text_of(words.vocabulary_of_model(explainer))
        picture = self._pictures("Picture")
        info = f"One class a line: {words.FORM}"
        if not own and words.vocabulary_of_model(explainer) is not None:
            info += ". Leave it empty for the model's own."
        label, empty = "Classes and rationales", words.EXAMPLE
        text = gr.Textbox(own, label=label, info=info, placeholder=empty, lines=5, max_lines=8, elem_id="words")
        maps = self._maps()
        unedited = own if own or words.vocabulary_of_model(explainer) is not None else None

        def explain(path: Path | None, given: Any, saliency: Any) -> str:
            given = given if isinstance(given, str) else ""
            return answers.by_rationales(explainer, path, given, unedited, saliency=saliency is True)

        self._on(self._button("Explain").click, explain, [*picture, text, maps], self.result, scroll_to_output=True)

    def _pair(self) -> None:
        faces, maps = self._pictures("First picture", "Second picture"), self._maps()

        def compare(first: Path | None, second: Path | None, saliency: Any) -> str:
            return answers.of_pair(self.explainer, first, second, saliency=saliency is True)

        self._on(self._button("Compare").click, compare, [*faces, maps], self.result)

    def _concepts(self, explainer: ConceptExplainer) -> None:
        gr = self.gr
        picture, dials = self._pictures("Picture"), gr.State([])
        maps = self._maps()
        button = self._button("Explain")
        with gr.Group(visible=False) as group:
            gr.HTML("<p>What if the picture had other cosines? Move a slider.</p>", padding=True)
            sliders = [
                gr.Slider(-1, 1, 0, step=10**-answers.DIGITS, visible=False, buttons=[]) for _ in range(answers.DIALS)
            ]

        def explain(path: Path | None, saliency: Any) -> Any:
            found: list[Dial] = []

            def work() -> str:
                shown, own = answers.by_concepts(explainer, path, saliency=saliency is True)
                found.extend(own)
                return shown

            shown = answers.or_problem(work)
            set_to = [
                gr.update(label=dial.descriptor, value=round(dial.cosine, answers.DIGITS), visible=True)
                for dial in found
            ]
            set_to += [gr.update(visible=False)] * (len(sliders) - len(found))
            return shown, found, gr.update(visible=bool(found)), *set_to

        def again(path: Path | None, saliency: Any, found: Sequence[Dial], *values: Any) -> str:
            cosines = answers.moved(found, values)
            return answers.with_cosines(explainer, path, cosines, saliency=saliency is True)

        self._on(button.click, explain, [*picture, maps], [self.result, dials, group, *sliders], whole=True)
        for slider in sliders:
            self._on(slider.input, again, [*picture, maps, dials, *sliders], self.result, trigger_mode="always_last")
        picture[0].change(
            lambda _: ([], gr.update(visible=False)), picture, [dials, group], show_progress="hidden", **_PRIVATE
        )

    def _maps(self) -> Any:
        can = "saliency" in self.explainer.option_names
        return self.gr.Checkbox(can, label="Saliency maps: where in the picture each reason is seen", visible=can)

    def _button(self, label: str) -> Any:
        return self.gr.Button(label, variant="primary")

    def _pictures(self, *labels: str) -> list[Any]:
        """Adds a file and a preview for each label, and the examples, which go to the first file that is free."""
        gr, files = self.gr, []
        with gr.Row():
            for label in labels:
                with gr.Column(min_width=140):
                    files.append(gr.File(label=label, height=120, elem_classes="picture"))
                    self._preview(files[-1])
        if self.examples:
            gr.HTML("<p>Or choose one:</p>", elem_classes="label")
            gallery = gr.Gallery(
                [str(example.thumbnail) for example in self.examples],
                label="Examples",
                show_label=False,
                container=False,
                columns=6,
                height="auto",
                allow_preview=False,
                interactive=False,
                object_fit="cover",
                buttons=[],
                elem_id="examples",
            )
            gallery.select(
                self._chooser(len(files)), files if len(files) > 1 else [], files, show_progress="hidden", **_PRIVATE
            )
        return files

    def _preview(self, file: Any) -> None:
        """Shows a picture as soon as it is chosen, and takes away the explanation of another."""
        shown = self.gr.HTML("", elem_classes="chosen")

        def work(path: Path | None) -> tuple[str, str]:
            return answers.or_problem(lambda: answers.preview(path)), WAITING

        self._on(file.change, work, [file], [shown, self.result], whole=True, show_progress="hidden")

    def _chooser(self, count: int) -> Callable[..., Any]:
        """Returns what puts the selected example in the first of `count` files that is free, else in the last."""
        from gradio import SelectData

        gr = self.gr

        def choose(event: SelectData, *files: Any) -> Any:
            index = event.index
            chosen = [gr.skip() for _ in range(count)]
            if isinstance(index, int) and 0 <= index < len(self.examples):
                free = next((number for number, file in enumerate(files) if file is None), count - 1)
                chosen[free] = str(self.examples[index].picture)
            return chosen if count > 1 else chosen[0]

        return choose

    def _on(
        self, event: Any, work: Callable[..., Any], given: Sequence[Any], shown: Any, *, whole: bool = False, **how: Any
    ) -> None:
        """Calls `work` on an event, with paths of files in place of files, and shows its HTML or the user's mistake.

        whole: `work` returns the values of all components in `shown`, and tells mistakes itself.
        """
        progress, files = self.gr.Progress(track_tqdm=True), [isinstance(own, self.gr.File) for own in given]

        def called(progress: Any = progress, *values: Any) -> Any:  # Gradio sets the first
            values = tuple(_path(value) if file else value for value, file in zip(values, files, strict=True))
            try:
                return work(*values) if whole else answers.or_problem(lambda: work(*values))
            finally:
                self.kept.keep_small()

        event(called, given, shown, **_PRIVATE, **how).then(None, js=FIT)


_PRIVATE: dict[str, Any] = {
    "preprocess": False,
    "api_visibility": "private",
    "concurrency_limit": 1,
    "concurrency_id": "model",
}
"""How events are called: with values as the browser sends them, for the page alone, one at a time."""


def _path(value: Any) -> Path | None:
    """Returns the path of an uploaded file, which `gate` has checked to be one; None without a file."""
    path = value.get("path") if isinstance(value, dict) else None
    return Path(path) if isinstance(path, str) else None


def _heading(explainer: Explainer) -> tuple[str, str]:
    if explainer.pairs:
        return "The same person?", "Add two pictures of faces: the model compares them, and says by what."
    if isinstance(explainer, ConceptExplainer) and explainer.findings.medical:
        return (
            "What is found in a chest X-ray?",
            "Add an X-ray: the model says what it finds, and by which descriptors.",
        )
    if isinstance(explainer, ConceptExplainer):
        return "What is it, and why?", "Add a picture: the model says what it is, and by which descriptors."
    sentence = "Add a picture: the model says which of your classes it shows, and for which of your reasons."
    return "What is it, and why?", sentence

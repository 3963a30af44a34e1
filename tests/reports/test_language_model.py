"""Reports through a language model: a tiny random one end to end, and one that says what the test wants."""

import fcntl
import json

import pytest
from absl import logging
from flax import nnx
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from ecor_jax.causal.config import read_config
from ecor_jax.causal.model import Decoder
from ecor_jax.causal.weights import entries
from ecor_jax.checkpoints.weights import foreign_tensors
from ecor_jax.errors import UserError
from ecor_jax.reports import language_model
from ecor_jax.reports.language_model import Answer, collect, split_reports
from ecor_jax.reports.prompt import INSTRUCTIONS, request
from ecor_jax.reports.records import Report
from ecor_jax.reports.statements import Statement

REPORTS = [
    Report("a", "Heart size is normal. No pleural effusion."),
    Report("b", "Lungs are clear."),
    Report("empty", " \n"),
    Report("c", "Possible nodule in the left lung. There is a small right pneumothorax."),
    Report("d", "Lungs are clear."),
    Report("e", "Bones are intact."),
]
ANSWERS = {
    REPORTS[0].text: "present: normal heart size\nabsent: pleural effusion",
    REPORTS[1].text: "Sure!\npresent: clear lungs\npresent: clear lungs\nabsent: edema",
    REPORTS[3].text: "uncertain: nodule in left lung\npresent: small right pneumothorax",
    REPORTS[5].text: "none",
}


class Scripted(language_model.Model):
    """Answers from a table; `stop_after` answers it is interrupted."""

    def __init__(self, answers=ANSWERS, digest="scripted", room=10_000, stop_after=None):
        self.answers, self.digest, self.room, self.left = answers, digest, room, stop_after
        self.asked: list[str] = []

    def prompt(self, report):
        return list(f"?{report}".encode())

    def answer(self, prompts, rows):
        assert 0 < len(prompts) <= rows
        if self.left is not None and self.left < len(prompts):
            raise KeyboardInterrupt
        texts = [bytes(prompt).decode()[1:] for prompt in prompts]
        self.asked += texts
        self.left = None if self.left is None else self.left - len(texts)
        return [Answer(self.answers[text], True) for text in texts]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A directory with a random decoder and a tokenizer, with a chat template, of the request's own words."""
    directory = tmp_path_factory.mktemp("language_model")
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<s>", "</s>"], initial_alphabet=sorted(alphabet), show_progress=False
    )
    inner.train_from_iterator([request("Lungs are clear.")], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = "{{ bos_token }}{{ messages[0]['content'] }}"
    tokenizer.save_pretrained(directory)
    fields = {
        "model_type": "llama",
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "eos_token_id": tokenizer.eos_token_id,
    }
    (directory / "config.json").write_text(json.dumps(fields))
    config = read_config(directory / "config.json")
    tensors = dict(foreign_tensors(Decoder(config, rngs=nnx.Rngs(0)), entries(config)))
    save_file({name: 20 * value for name, value in tensors.items()}, directory / "model.safetensors")
    return directory


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_babble_of_a_random_model_is_all_kept_apart(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(language_model, "NEW_TOKENS", 24)
    whole = tmp_path / "whole"
    found = split_reports(str(tiny_model), REPORTS, whole, batch_size=2)
    assert found == {report.name: () for report in REPORTS}
    rejected = lines(whole / "rejected.jsonl")
    assert {line["name"] for line in rejected} == {"a", "b", "c", "d", "e"}
    answers = lines(whole / "answers.jsonl")
    assert len(answers) == 4 and len({answer["text"] for answer in answers}) > 1

    # Killed within a line, in the middle of a batch: what is made anew is the same to the last byte.
    content = (whole / "answers.jsonl").read_bytes()
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / "answers.jsonl").write_bytes(content[: content.index(b"\n") + 30])
    split_reports(str(tiny_model), REPORTS, killed, batch_size=2)
    assert contents(killed) == contents(whole)

    # What is there already needs no weights but for their digest.
    monkeypatch.setattr(language_model, "read_decoder", lambda directory: pytest.fail("loaded"))
    assert split_reports(str(tiny_model), REPORTS, whole, batch_size=2) == found
    assert contents(killed) == contents(whole)


def test_statements_and_what_is_kept_apart(tmp_path, caplog):
    logging.set_verbosity(logging.INFO)
    with caplog.at_level("INFO", logger="absl"):
        found = collect(Scripted(), REPORTS, tmp_path, 2)
    clear = (Statement("clear lungs", "present", "lungs"),)
    assert found == {
        "a": (Statement("normal heart size", "present", "heart"), Statement("pleural effusion", "absent", "pleura")),
        "b": clear,
        "empty": (),
        "c": (
            Statement("nodule in left lung", "uncertain", "lungs"),
            Statement("small right pneumothorax", "present", "pleura"),
        ),
        "d": clear,
        "e": (),
    }
    assert list(found) == [report.name for report in REPORTS]
    faults = [("not of the asked form", "Sure!"), ("repeated", "present: clear lungs")]
    faults.append(("not in the report", "absent: edema"))
    assert lines(tmp_path / "rejected.jsonl") == [
        {"name": name, "reason": reason, "line": line} for name in ("b", "d") for reason, line in faults
    ]
    assert "6 reports: 6 statements taken, 2 reports without any; 6 lines or answers kept apart" in caplog.text
    assert "not in the report: 2" in caplog.text


def test_equal_texts_are_asked_about_once_and_nothing_twice(tmp_path):
    model = Scripted()
    collect(model, REPORTS, tmp_path, 3)
    assert sorted(model.asked) == sorted(ANSWERS)
    again = Scripted()
    collect(again, REPORTS, tmp_path, 3)
    assert again.asked == []


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_a_killed_run_goes_on_where_it_was(batch_size, tmp_path):
    collect(Scripted(), REPORTS, tmp_path / "whole", batch_size)
    content = (tmp_path / "whole" / "answers.jsonl").read_bytes()
    for cut in range(0, len(content), 7):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        (folder / "answers.jsonl").write_bytes(content[:cut])
        collect(Scripted(), REPORTS, folder, batch_size)
        assert contents(folder) == contents(tmp_path / "whole")


def test_an_interrupted_run_keeps_its_answers(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        collect(Scripted(stop_after=3), REPORTS, tmp_path, 1)
    assert len(lines(tmp_path / "answers.jsonl")) == 3
    model = Scripted()
    collect(model, REPORTS, tmp_path, 1)
    assert len(model.asked) == 1


def test_another_model_or_another_text_is_asked_anew(tmp_path):
    first = collect(Scripted(), REPORTS, tmp_path, 2)
    other = Scripted(answers=dict.fromkeys(ANSWERS, "none"), digest="other")
    assert collect(other, REPORTS, tmp_path, 2) == {report.name: () for report in REPORTS}
    assert sorted(other.asked) == sorted(ANSWERS)
    changed = Scripted(answers={"Clear lungs.": "present: clear lungs"})
    found = collect(changed, [Report("b", "Clear lungs."), REPORTS[0]], tmp_path, 1)
    assert changed.asked == ["Clear lungs."] and found["b"] == first["b"] and found["a"] == first["a"]
    # The first model's answers are still there.
    once_more = Scripted()
    assert collect(once_more, REPORTS, tmp_path, 2) == first and once_more.asked == []


def test_a_report_beyond_the_context_is_kept_apart_and_the_others_go_on(tmp_path):
    model = Scripted(room=len(REPORTS[0].text) + 1)
    found = collect(model, REPORTS, tmp_path, 2)
    assert found["c"] == () and len(found["a"]) == 2
    rejected = lines(tmp_path / "rejected.jsonl")
    assert {"name": "c", "reason": "report longer than the context", "line": ""} in rejected
    assert REPORTS[3].text not in model.asked


def test_a_model_without_room_for_any_report(tiny_model, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="has room for prompts of 0 tokens; the request alone takes 1"):
        collect(Scripted(room=0), REPORTS, tmp_path, 2)
    monkeypatch.setattr(language_model, "NEW_TOKENS", 2000)
    with pytest.raises(UserError, match="room for prompts of 48 tokens; the request alone takes"):
        split_reports(str(tiny_model), REPORTS, tmp_path)


def test_a_cut_off_answer(tmp_path):
    class Endless(Scripted):
        def answer(self, prompts, rows):
            return [Answer(text, False) for text, _ in super().answer(prompts, rows)]

    assert not any(collect(Endless(), REPORTS, tmp_path, 2).values())
    assert {line["reason"] for line in lines(tmp_path / "rejected.jsonl")} == {"cut off before its end"}


def test_names_and_batches_that_cannot_be(tmp_path):
    with pytest.raises(UserError, match="1 names stand for several reports: a"):
        collect(Scripted(), [REPORTS[0], Report("a", "x")], tmp_path, 2)
    with pytest.raises(UserError, match="batch_size is 0"):
        collect(Scripted(), REPORTS, tmp_path, 0)
    assert collect(Scripted(), [], tmp_path, 2) == {}


@pytest.mark.parametrize("line", ["{", "[]", '{"prompt": "x"}', '{"prompt": 1, "text": "", "ended": true}', "\xff"])
def test_a_damaged_line_is_named(line, tmp_path):
    collect(Scripted(), REPORTS, tmp_path, 2)
    path = tmp_path / "answers.jsonl"
    content = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*content[:2], line + "\n", *content[2:]]), encoding="latin-1")
    with pytest.raises(UserError, match=r"answers\.jsonl: line 3 is damaged; remove that line"):
        collect(Scripted(), REPORTS, tmp_path, 2)


def test_folders_that_cannot_be_written_or_are_in_use(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/answers\.jsonl: cannot be read or written"):
        collect(Scripted(), REPORTS, tmp_path / "file", 2)
    with (tmp_path / "answers.jsonl").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another run is writing to it"):
            collect(Scripted(), REPORTS, tmp_path, 2)


def test_a_model_that_is_none(tiny_model, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no such file or directory"):
        split_reports(str(tmp_path / "nowhere"), REPORTS, tmp_path)
    with pytest.raises(UserError, match=r"not a language model; expected a directory with config\.json"):
        split_reports(str(tmp_path), REPORTS, tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match=r"mistralai/Mistral.*cannot be fetched.*give the path of a local copy"):
        split_reports(language_model.DEFAULT_MODEL, REPORTS, tmp_path)
    (tmp_path / "config.json").write_bytes((tiny_model / "config.json").read_bytes())
    with pytest.raises(UserError, match=r"no tokenizer; expected tokenizer\.json"):
        split_reports(str(tmp_path), REPORTS, tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="its tokenizer cannot be read") as caught:
        split_reports(str(tmp_path), REPORTS, tmp_path)
    assert "\n" not in str(caught.value)
    fields = json.loads((tiny_model / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(fields | {"vocab_size": 100}))
    (tmp_path / "tokenizer.json").write_bytes((tiny_model / "tokenizer.json").read_bytes())
    with pytest.raises(UserError, match=r"the tokenizer has \d+ tokens; the model embeds 100"):
        split_reports(str(tmp_path), REPORTS, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(fields | {"eos_token_id": None}))
    with pytest.raises(UserError, match="no token ends an answer"):
        split_reports(str(tmp_path), REPORTS, tmp_path)


def test_a_hub_snapshot_is_fetched_with_its_template_and_no_pickles(tiny_model, tmp_path, monkeypatch):
    from ecor_jax.checkpoints import hub

    asked = []

    def snapshot_download(source, allow_patterns):
        asked.append((source, *allow_patterns))
        return str(tiny_model)

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    assert split_reports("someone/model", [], tmp_path) == {}
    assert asked == [("someone/model", "*.json", "*.jinja"), ("someone/model", "model*.safetensors")]


def test_the_digest_follows_weights_and_template(tiny_model, tmp_path):
    import shutil

    from ecor_jax.causal.source import files_digest

    copy = shutil.copytree(tiny_model, tmp_path / "copy")
    assert files_digest(copy) == files_digest(tiny_model)
    for name in ("model.safetensors", "tokenizer_config.json", "chat_template.jinja"):
        before = files_digest(copy)
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert files_digest(copy) != before, name


def test_the_instructions_name_the_form():
    assert "status: descriptor" in INSTRUCTIONS and '"none"' in INSTRUCTIONS

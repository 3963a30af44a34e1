"""The order in which a process hears of another one's end; tests/commands/test_processes.py has whole runs."""

import threading

import pytest

from ecor_jax import stopping
from ecor_jax.parallel import endings


@pytest.fixture
def ends(monkeypatch) -> threading.Event:
    """Whether this process has a reason to end."""
    event = threading.Event()
    monkeypatch.setattr(endings, "_ends", event)
    return event


def test_a_reason_is_noted_before_it_is_acknowledged(ends, monkeypatch):
    """After the acknowledgement the other process is gone, which a collective operation may report at once."""
    happened = []

    class Client:
        def blocking_key_value_get(self, key, milliseconds):
            return '{"signal": 15}'

        def key_value_set(self, key, value):
            happened.append(("acknowledged", ends.is_set()))

    monkeypatch.setattr(stopping, "request_stop", lambda number: happened.append(("stopped", number)))
    endings._listen(Client(), 1)
    assert happened == [("acknowledged", True), ("stopped", 15)]


def test_a_lost_process_is_not_reported_while_its_reason_is_acted_on(ends, monkeypatch):
    endings.await_reason()  # without a reason it does not wait
    ends.set()
    asked = []

    def requested() -> bool:
        asked.append(None)
        return len(asked) > 3

    monkeypatch.setattr(stopping, "requested", requested)
    endings.await_reason()
    assert len(asked) == 4

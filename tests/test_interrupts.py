"""A KeyboardInterrupt of the user's is told from one that code raises."""

import signal
import threading

import pytest

from harness.interrupts import interrupts_told


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN], ids=["handled", "ignored"])
def test_what_code_raises_is_not_the_users(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt), interrupts_told() as interrupted:
            raise KeyboardInterrupt
        assert not interrupted()
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_is_the_users():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), interrupts_told() as interrupted:
            signal.raise_signal(signal.SIGINT)
        assert interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def test_where_it_cannot_be_known_it_is_the_users():
    told = []

    def elsewhere():
        with interrupts_told() as interrupted:
            told.append(interrupted())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert told == [True]
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with interrupts_told() as interrupted:
            assert interrupted()
    finally:
        signal.signal(signal.SIGINT, before)

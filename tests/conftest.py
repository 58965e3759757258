"""A test that hangs fails alone, with the line at which it stood; the others go on."""
import signal

import pytest

LIMIT_S = 300.0


class Hangs(Exception):
    pass


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    def ring(number, frame):
        raise Hangs(f"{item.nodeid} did not end in {LIMIT_S:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

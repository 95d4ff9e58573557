"""The thread that keeps the newest picture, against scripted connections and without a network."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.errors import FrameError, SourceError
from cameras.sources import live
from cameras.sources.live import Broken, LiveSource, Pace, backoff_s

Script = Callable[[], Iterator[int]]


class Scripted(LiveSource):
    """A stream that plays one script a connection; the last one again and again."""

    def __init__(self, *scripts: Script, fps: float = 1000, reconnects: int = 3, read_timeout_s: float = 10) -> None:
        super().__init__(
            fps, source="rtsp://cam/s", camera="dock", reconnects=reconnects, read_timeout_s=read_timeout_s
        )
        self.scripts, self.connections, self.closed = list(scripts), 0, 0
        self.start()

    @contextmanager
    def connect(self) -> Iterator[Iterator[int]]:
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        self.connections += 1
        pictures = script()
        first = next(pictures, None)  # a script's first step is the connecting
        assert first is None or first == -1
        try:
            yield pictures
        finally:
            self.closed += 1

    def decode(self, raw: Any) -> np.ndarray:
        if raw < 0:
            raise FrameError("damaged")
        return np.full((2, 2, 3), raw % 256, np.uint8)


def gives(*numbers: int, each_s: float = 0.01, then: str = "") -> Script:
    def script() -> Iterator[int]:
        yield -1
        for number in numbers:
            time.sleep(each_s)
            yield number
        if then:
            raise Broken(then)

    return script


def refuses() -> Iterator[int]:
    raise Broken("connection refused")
    yield


def endless() -> Iterator[int]:
    yield -1
    for number in range(10_000):
        time.sleep(0.01)
        yield number


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_BACKOFF_S", 0.005)


def test_a_quick_reader_gets_every_picture() -> None:
    with Scripted(gives(1, 2, 3, each_s=0.2, then="the stream ended"), reconnects=0) as source:
        frames: list[Any] = []
        with pytest.raises(SourceError, match=r"^camera 'dock': rtsp://cam/s: the stream ended — check .* probe dock$"):
            iter_into(source, frames)
    assert [(frame.index, frame.image[0, 0, 0]) for frame in frames] == [(0, 1), (1, 2), (2, 3)]
    assert all(frame.captured_at.utcoffset() is not None for frame in frames)


def iter_into(source: LiveSource, frames: list[Any]) -> None:
    """What came before the error is kept."""
    for frame in source:
        frames.append(frame)


def test_a_slow_reader_gets_the_newest_picture_and_not_the_past() -> None:
    with Scripted(endless) as source:
        frames = iter(source)
        next(frames)
        time.sleep(0.5)
        late = next(frames)
        assert late.index > 5
        assert datetime.now(UTC) - late.captured_at < timedelta(seconds=0.3)
        assert next(frames).index > late.index


def test_pictures_come_at_the_rate_asked_for() -> None:
    with Scripted(endless, fps=20) as source:
        started = time.monotonic()
        frames = [frame for frame, _ in zip(source, range(11), strict=False)]
    assert 0.45 < time.monotonic() - started < 0.9
    assert 25 < frames[10].index - frames[0].index < 75


def test_a_broken_stream_comes_back_and_counts_on() -> None:
    with Scripted(gives(1, 2, then="the connection was cut"), refuses, gives(3, 4), endless) as source:
        seen = [frame for frame, _ in zip(source, range(6), strict=False)]
    assert [frame.index for frame in seen] == sorted(frame.index for frame in seen)
    assert source.connections == 4
    assert source.closed == 3  # the one that was refused had nothing to close


def test_a_stream_that_stays_away_is_given_up_after_the_reconnects() -> None:
    with (
        Scripted(gives(1), refuses, reconnects=3) as source,
        pytest.raises(SourceError, match="connection refused"),
    ):
        list(source)
    assert source.connections == 4


def test_a_picture_resets_the_count_of_reconnects() -> None:
    scripts = [gives(number) for number in range(8)]
    with Scripted(*scripts, refuses, reconnects=2) as source, pytest.raises(SourceError):
        list(source)
    assert source.connections == 10


def test_the_first_connection_is_not_tried_again() -> None:
    with pytest.raises(SourceError, match="connection refused"):
        Scripted(refuses)


def test_a_fault_of_our_own_reaches_the_reader() -> None:
    def faulty() -> Iterator[int]:
        yield -1
        raise ZeroDivisionError("rtsp://admin:hunter2@cam/s")

    with Scripted(faulty, reconnects=0) as source, pytest.raises(SourceError, match="ZeroDivisionError") as caught:
        list(source)
    assert "hunter2" not in str(caught.value)


def test_a_damaged_picture_is_left_out() -> None:
    with Scripted(gives(1, -7, 2, each_s=0.2), reconnects=0) as source:
        frames: list[Any] = []
        with pytest.raises(SourceError):
            iter_into(source, frames)
    assert [frame.image[0, 0, 0] for frame in frames] == [1, 2]


def test_only_damaged_pictures_are_not_waited_for_for_ever() -> None:
    def damaged() -> Iterator[int]:
        yield -1
        while True:
            time.sleep(0.01)
            yield -7

    with (
        Scripted(damaged, read_timeout_s=0.2) as source,
        pytest.raises(SourceError, match=r"only damaged pictures for 0\.2 s"),
    ):
        list(source)


def test_closing_wakes_a_reader_and_ends_the_thread() -> None:
    source = Scripted(gives(1, each_s=0.01, then="cut"), endless, fps=0.01)
    threading.Timer(0.2, source.close).start()
    started = time.monotonic()
    assert len(list(source)) == 1
    assert time.monotonic() - started < 2
    source.close()
    assert not source._thread.is_alive()


def test_closing_without_reading() -> None:
    source = Scripted(endless)
    source.close()
    assert source.closed == 1
    assert list(source) == []


def test_a_pace_keeps_its_beat_and_makes_up_for_nothing() -> None:
    now = 100.0
    pace = Pace(2, clock=lambda: now)
    assert pace.wait_s() == 0
    pace.step()
    assert pace.wait_s() == pytest.approx(0.5)
    now = 100.6  # a little late: the beat stays
    assert pace.wait_s() == 0
    pace.step()
    assert pace.wait_s() == pytest.approx(0.4)
    now = 110.0  # far too late: a new beat
    pace.step()
    assert pace.wait_s() == pytest.approx(0.5)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_double_up_to_half_a_minute(failures: int, share: float) -> None:
    pause = backoff_s(failures, lambda: share)
    assert 0.005 <= pause <= 30
    assert backoff_s(failures, lambda: 0.0) <= pause <= backoff_s(failures, lambda: 1.0) * 1.0001
    assert backoff_s(failures + 1, lambda: share) >= pause


def test_the_pauses_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [backoff_s(failures, lambda: 1.0) for failures in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert backoff_s(1, lambda: 0.0) == 0.5

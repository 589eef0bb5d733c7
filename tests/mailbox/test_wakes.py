"""The wake of one address: under way for a window, then useful, empty or lost, and never two at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mailbox import wakes
from postroom.mailbox.wakes import ASLEEP, UNDER_WAY, Wake, WakeState
from postroom.store.clock import MICROS, ManualClock
from postroom.store.errors import BadInput


def test_a_wake_is_pending_until_its_window_is_over() -> None:
    clock = ManualClock()
    wake = wakes.sent(clock, ASLEEP, "r-1", "t-1")
    clock.advance(179)
    assert wakes.pending(clock, wake)
    clock.advance(1)
    assert not wakes.pending(clock, wake)
    assert wakes.overdue(clock, wake)


def test_a_step_of_the_wall_clock_ends_no_window() -> None:
    clock = ManualClock()
    wake = wakes.sent(clock, ASLEEP, "r-1", "t-1")
    clock.step_wall(86_400)
    assert wakes.pending(clock, wake)


def test_after_a_reboot_wall_time_decides() -> None:
    clock = ManualClock()
    wake = wakes.sent(clock, ASLEEP, "r-1", "t-1")
    clock.reboot()
    assert wakes.pending(clock, wake)
    clock.advance(200)
    assert wakes.overdue(clock, wake)


@pytest.mark.parametrize(("found", "useful", "empty"), [(2, 1, 0), (0, 0, 1)])
def test_a_poll_ends_it_as_useful_or_empty(found: int, useful: int, empty: int) -> None:
    clock = ManualClock()
    after = wakes.polled(wakes.sent(clock, ASLEEP, "r-1", "t-1"), found)
    assert (after.state, after.useful, after.empty, after.lost) == (WakeState.IDLE, useful, empty, 0)


def test_a_poll_of_somebody_who_was_not_woken_counts_nothing() -> None:
    assert wakes.polled(ASLEEP, 1) == ASLEEP


def test_windows_double_with_each_wake_that_is_lost_and_begin_again_after_a_poll() -> None:
    clock = ManualClock()
    wake = ASLEEP
    windows: list[int] = []
    for n in range(7):
        wake = wakes.sent(clock, wake, f"r-{n}", "t-1")
        windows.append(wakes.window_us(wake) // MICROS)
        clock.advance(windows[-1])
    assert windows == [180, 360, 720, 1440, 2880, 3600, 3600]
    assert wake.lost == 6
    late = wakes.polled(wakes.sent(clock, wake, "r-7", "t-1"), 1)
    assert (late.lost, late.streak, wakes.window_us(late)) == (7, 0, 180 * MICROS)


def test_what_surely_had_no_effect_is_no_wake() -> None:
    clock = ManualClock()
    reserved = wakes.reserved(clock, ASLEEP, "r-1", "t-1")
    assert wakes.pending(clock, reserved)
    after = wakes.failed(reserved)
    assert not wakes.pending(clock, after)
    assert (after.useful, after.empty, after.lost) == (0, 0, 0)


def test_a_join_waits_for_its_messages_and_not_longer_than_it_may() -> None:
    clock = ManualClock()
    wake = wakes.joined(clock, ASLEEP, 3, 300)
    assert [wakes.joining_us(clock, wake, ready) // MICROS for ready in (0, 2, 3, 4)] == [300, 300, 0, 0]
    clock.advance(299)
    assert wakes.joining_us(clock, wake, 2) == MICROS
    clock.advance(1)
    assert wakes.joining_us(clock, wake, 2) == 0


def test_what_a_poll_takes_is_awaited_no_more_and_a_join_without_rest_is_over() -> None:
    clock = ManualClock()
    wake = wakes.joined(clock, ASLEEP, 3)
    two = wakes.polled(wake, 2)
    assert two.join is not None
    assert two.join.left == 1
    assert wakes.polled(two, 0) == two
    assert wakes.polled(two, 1).join is None
    assert wakes.polled(two, 5).join is None


def test_of_much_shared_mail_the_newest_is_remembered() -> None:
    wake = ASLEEP
    for n in range(20):
        wake = wakes.polled(wake, 1, [(f"m-{n}", n)])
    assert wake.shared == tuple((f"m-{n}", n) for n in range(4, 20))


def test_joining_no_messages_ends_a_join() -> None:
    clock = ManualClock()
    assert wakes.joined(clock, wakes.joined(clock, ASLEEP, 3), 0) == ASLEEP


@pytest.mark.parametrize(
    ("messages", "seconds"), [(-1, 300), (1001, 300), (3, 0), (3, float("nan")), (3, 1e9)]
)
def test_a_join_of_absurd_numbers_is_refused(messages: int, seconds: float) -> None:
    with pytest.raises(BadInput):
        wakes.joined(ManualClock(), ASLEEP, messages, seconds)


STEPS = st.lists(st.sampled_from(["send", "fail", "mail", "nothing", "wait", "long"]), max_size=40)


@given(STEPS)
def test_every_wake_that_was_not_failed_ends_in_one_way_or_is_under_way(steps: list[str]) -> None:
    clock = ManualClock()
    wake: Wake = ASLEEP
    begun = 0
    for n, step in enumerate(steps):
        match step:
            case "send" if not wakes.pending(clock, wake):
                wake = wakes.sent(clock, wake, f"r-{n}", "t-1")
                begun += 1
            case "fail" if wakes.pending(clock, wake):
                wake = wakes.failed(wake)
                begun -= 1
            case "mail" | "nothing":
                wake = wakes.polled(wake, 1 if step == "mail" else 0)
            case "wait":
                clock.advance(100)
            case "long":
                clock.advance(4000)
            case _:
                pass
        assert wake.useful + wake.empty + wake.lost + (wake.state in UNDER_WAY) == begun

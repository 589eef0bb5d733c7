"""The books of a simulated fleet: what must not happen is seen when it happens."""

from __future__ import annotations

from postroom.simulation.fleet.ledger import Ledger


def test_a_second_wake_in_the_window_of_the_first_is_a_breach() -> None:
    books = Ledger()
    books.ordered("worker/w", "r-1", 0, 180)
    books.ordered("worker/w", "r-2", 179, 359)
    assert [breach.kind for breach in books.breaches] == ["doubled"]


def test_a_wake_after_the_poll_or_the_window_of_the_first_is_none() -> None:
    books = Ledger()
    books.ordered("worker/w", "r-1", 0, 180)
    books.answered("worker/w")
    books.ordered("worker/w", "r-2", 10, 190)
    books.ordered("worker/w", "r-3", 190, 370)
    books.ordered("worker/v", "r-4", 20, 200)
    assert books.breaches == []


def test_one_receipt_for_two_wakes_is_a_breach() -> None:
    books = Ledger()
    books.ordered("worker/w", "r-1", 0, 180)
    books.ordered("worker/v", "r-1", 0, 180)
    assert [breach.kind for breach in books.breaches] == ["doubled"]


def test_tasks_without_a_report_and_with_two_are_named() -> None:
    books = Ledger()
    for task in ("silent", "buried", "once", "twice"):
        books.asked(task)
    for task in ("once", "twice", "twice"):
        books.reported(task)
    assert books.unreported({"buried"}) == ["silent"]
    assert books.repeated() == ["twice"]

"""A fixed share of the row that flips bytes."""

from __future__ import annotations

from prove.flips import run


def test_no_flipped_byte_loses_mail_in_silence_and_repair_brings_all_of_it_back() -> None:
    told: list[int] = []
    outcome = run(120, 3, told.append)
    assert outcome.breaches == []
    assert outcome.clean
    assert told[-1] == outcome.amount == 120
    assert outcome.messages > 1000
    seen = {name for name, count in outcome.figures.items() if count}
    assert {"mended_at_opening", "told_by_verify", "repaired"} <= seen


def test_without_looking_flipped_bytes_do_lose_mail_in_silence() -> None:
    outcome = run(2, 5, lambda _: None)
    assert outcome.figures["control_log_lost_in_silence"] > 0
    assert outcome.figures["control_file_lost_in_silence"] > 0

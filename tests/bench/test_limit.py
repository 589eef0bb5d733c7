"""The baseline does what it claims to: every step durable, nothing left behind."""

from pathlib import Path

import apsw

from postroom.bench import limit
from postroom.bench.figures import padding, quantile, raw_body


def test_what_is_sent_is_claimed_in_order_and_gone_after_delete(tmp_path: Path) -> None:
    queue = limit.RawQueue(tmp_path / "raw.db", 220)
    queue.send(5)
    first = queue.claim(3)
    assert [seq for seq, _ in first] == [1, 2, 3]
    queue.delete(first)
    queue.delete(queue.claim(3))
    assert queue.claim(1) == []
    queue.close()


def test_the_baseline_runs_with_a_log_that_is_synced_at_each_commit(tmp_path: Path) -> None:
    queue = limit.RawQueue(tmp_path / "raw.db", 220)
    assert queue.durability() == ("wal", 2)
    queue.close()


def test_bodies_have_the_length_that_was_asked_for(tmp_path: Path) -> None:
    queue = limit.RawQueue(tmp_path / "raw.db", 220)
    queue.send(1)
    queue.close()
    with apsw.Connection(str(tmp_path / "raw.db")) as db:
        assert db.execute("SELECT length(body) FROM message").get == 220
    db.close()


def test_padding_is_never_negative() -> None:
    assert padding(raw_body(1, ""), 2) == ""


def test_a_quantile_is_one_of_the_samples() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert quantile([], 0.5) == 0.0

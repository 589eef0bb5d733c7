"""Links to a server that break, stall and crawl at each message of the protocol: no answer is ever false."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chaos_proxy import ChaosProxy, Harm
from doubts import Doubts
from postgres_server import Postgres

from postroom.store.postgres.engine import open_postgres
from postroom.store.postgres.patience import Connection

pytestmark = pytest.mark.long

SEVERAL = {Harm.CUT: 6, Harm.TEAR: 13, Harm.STALL: 25, Harm.DELAY: 60, Harm.TRICKLE: 60, Harm.DARK: 25}
"""Every how many messages: what takes time is done at some of them here, and at all of them by the proof."""


@pytest.fixture
def doubts(postgres: Postgres, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doubts]:
    monkeypatch.setattr(Connection, "patience", 0.2)
    schema = postgres_url.rpartition("=")[2]
    near = open_postgres(postgres_url, create=True)
    with ChaosProxy(postgres.base, stall_seconds=0.05) as proxy:
        far = open_postgres(proxy.url(schema), create=False)
        yield Doubts(proxy, far, near)
        far.close()
    near.close()


@pytest.mark.parametrize("harm", Harm)
def test_what_is_sent_claimed_and_settled_over_such_a_link_is_done_once(doubts: Doubts, harm: Harm) -> None:
    for n, act in enumerate((doubts.send, doubts.claim, doubts.settle)):
        assert doubts.everywhere(act, harm, SEVERAL[harm], first=n) > 0
    assert doubts.judge() == []
    if harm in {Harm.STALL, Harm.DELAY, Harm.TRICKLE}:
        assert (doubts.unknown, doubts.refused) == (0, 0)
    assert doubts.answered > 3


@pytest.mark.parametrize("harm", [Harm.CUT, Harm.TEAR, Harm.DARK])
def test_an_outcome_that_nobody_knows_is_called_unknown(doubts: Doubts, harm: Harm) -> None:
    """Among the last messages of an exchange are the order to commit and its answer."""
    doubts.everywhere(doubts.send, harm, 3, first=doubts.length(doubts.send) - 30)
    assert doubts.unknown > 0
    assert doubts.judge() == []


@pytest.mark.parametrize("harm", [Harm.CUT, Harm.TEAR])
def test_a_link_that_breaks_while_it_is_made_is_made_again(doubts: Doubts, harm: Harm) -> None:
    assert doubts.everywhere(doubts.connect_and_send, harm, 6) > 5
    assert doubts.judge() == []

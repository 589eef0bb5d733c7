from __future__ import annotations

import pytest

from postroom.mailbox.address import (
    address_in,
    check_address,
    check_inbox,
    check_recipient,
    check_task,
    role_of,
    shared_inbox,
)
from postroom.store.errors import BadInput

ADDRESSES = ["worker/a", "worker/a.b_c-1", "w/" + "a" * 128, "r2-d2/0", "a/.."]
ROUTES = ["any:worker", "all:worker", "manager-of:TASK-1", "manager-of:t"]
WRONG = ["", "worker", "worker/", "/a", "Worker/a", "worker/A", "worker/a/b", "worker/a b", "worker/ä",
         "worker/" + "a" * 129, "worker/a\n", "any:", "any:worker/a", "some:worker", "manager-of:",
         "manager-of:a/b", "worker/a\x1b[31m", "\ud800/a"]  # fmt: skip


@pytest.mark.parametrize("text", ADDRESSES)
def test_addresses_are_taken_everywhere(text: str) -> None:
    assert check_address(text) == check_inbox(text) == check_recipient(text) == text


@pytest.mark.parametrize("text", ROUTES)
def test_routes_are_recipients_but_no_addresses(text: str) -> None:
    assert check_recipient(text) == text
    with pytest.raises(BadInput, match="is a route"):
        check_address(text)


def test_of_the_routes_only_the_shared_inbox_is_an_inbox() -> None:
    assert check_inbox("any:worker") == "any:worker"
    with pytest.raises(BadInput, match="no inbox"):
        check_inbox("all:worker")


@pytest.mark.parametrize("text", WRONG)
def test_anything_else_is_refused_without_repeating_control_characters(text: str) -> None:
    for check in (check_address, check_inbox, check_recipient):
        with pytest.raises(BadInput) as caught:
            check(text)
        assert str(caught.value).isprintable()


def test_capital_letters_are_answered_with_what_was_meant() -> None:
    with pytest.raises(BadInput, match="did you mean worker/anna"):
        check_recipient("worker/Anna")


def test_task_names_may_be_written_in_capitals() -> None:
    assert check_task("ISSUE-12") == "ISSUE-12"
    with pytest.raises(BadInput):
        check_task("a b")


@pytest.mark.parametrize(
    ("text", "role"),
    [("worker/a", "worker"), ("any:worker", "worker"), ("all:worker", "worker"), ("manager-of:T", "manager")],
)
def test_every_address_and_route_has_a_role(text: str, role: str) -> None:
    assert role_of(text) == role


def test_members_share_one_inbox_which_shares_with_nobody() -> None:
    assert shared_inbox("worker/a") == "any:worker"
    assert shared_inbox("any:worker") is None


def test_a_name_becomes_an_address_of_the_role_and_an_address_stays() -> None:
    assert address_in("manager", "m") == "manager/m"
    assert address_in("manager", "lead/x") == "lead/x"
    with pytest.raises(BadInput):
        address_in("manager", "any:worker")

"""The keys that a convoy file may have, what each may hold, and which part of the plan it becomes."""

from __future__ import annotations

from collections.abc import Mapping

from ..plan import HookKind, HookPoint, OnBudget, OnExhausted, OnOverlap, Route
from .shapes import (
    ADDRESS,
    COMMAND,
    ENVIRONMENT,
    FILLED,
    INPUTS,
    LIST,
    NAME,
    TABLE,
    TEXT,
    TEXTS,
    Shape,
    number,
    one_of,
    one_word,
    seconds,
    whole,
)

MOST_AT_ONCE = 64
MOST_RETRIES = 100
MOST_TASKS = 10_000
MOST_OUTPUTS = 50
"""Outputs of one convoy."""

LARGEST = 2**53
AUTO_WORD = "auto"
CONTINUE, STOP = "continue", "stop"


def _is_concurrency(value: object) -> bool:
    return value == AUTO_WORD or whole(1, MOST_AT_ONCE).fits(value)


CONCURRENCY = Shape(
    f'a whole number from 1 to {MOST_AT_ONCE}, or "{AUTO_WORD}"', _is_concurrency, known=(AUTO_WORD,)
)

TOP: Mapping[str, Shape] = {
    "convoy": TABLE,
    "input": INPUTS,
    "defaults": TABLE,
    "tasks": TABLE,
    "agents": TABLE,
    "review": TABLE,
    "budget": TABLE,
    "secrets": TABLE,
}
CONVOY: Mapping[str, Shape] = {
    "name": NAME,
    "concurrency": CONCURRENCY,
    "max_concurrency": whole(1, MOST_AT_ONCE),
    "folder": FILLED,
    "on_failure": one_word((CONTINUE, STOP), str),
    "on_overlap": one_of(OnOverlap),
    "max_injections": whole(0, 1000),
    "gates": LIST,
    "hooks": LIST,
}

RETRY: Mapping[str, Shape] = {
    "retries": whole(0, MOST_RETRIES),
    "backoff": seconds(0),
    "factor": number(1, 10),
    "longest_backoff": seconds(0),
    "jitter": number(0, 1),
    "retry_on": TEXTS,
    "on_exhausted": one_of(OnExhausted),
}
RETRY_FIELDS: Mapping[str, str] = {
    **dict(zip(RETRY, RETRY, strict=True)),
    "longest_backoff": "longest",
    "retry_on": "only",
}
"""Which attribute of ``Retry`` each key becomes."""

WORK: Mapping[str, Shape] = {"command": COMMAND, "call": FILLED, "arguments": TABLE, "prompt": FILLED}
DEFAULTS: Mapping[str, Shape] = {
    **RETRY,
    "timeout": seconds(),
    "agent": NAME,
    "review": one_of(Route),
    "env": ENVIRONMENT,
    "cwd": TEXT,
    "gates": LIST,
    "priority": whole(-1_000_000, 1_000_000),
}
TASK: Mapping[str, Shape] = {
    **WORK,
    "steps": LIST,
    "depends_on": TEXTS,
    "inputs": TABLE,
    "outputs": TABLE,
    "files": TEXTS,
    "hooks": LIST,
    **DEFAULTS,
}
STEP: Mapping[str, Shape] = {**WORK, "id": NAME, "if": TABLE, "gates": LIST}
CONDITION: Mapping[str, Shape] = {"step": TEXT, "exit": TABLE, "file_exists": FILLED}
CODE = whole(-255, 255)
EXIT: Mapping[str, Shape] = dict.fromkeys(("eq", "ne", "lt", "gt"), CODE)
GATE: Mapping[str, Shape] = {
    "name": NAME,
    "command": COMMAND,
    "builtin": one_word(("secret_scan", "blast_radius", "no_op"), str),
    "timeout": seconds(),
    "max_lines": whole(1, LARGEST),
    "max_files": whole(1, LARGEST),
}
HOOK: Mapping[str, Shape] = {
    "name": NAME,
    "on": one_of(HookPoint),
    "type": one_of(HookKind),
    "command": COMMAND,
    "prompt": FILLED,
    "agent": NAME,
    "timeout": seconds(),
}
OUTPUT: Mapping[str, Shape] = {"file": FILLED}
INPUT: Mapping[str, Shape] = {"from": TEXT, "name": TEXT}
AGENT: Mapping[str, Shape] = {
    "command": COMMAND,
    "call": FILLED,
    "inbox": ADDRESS,
    "fallback": NAME,
    "threshold": whole(1, 1000),
    "cooldown": seconds(),
}
REVIEWER: Mapping[str, Shape] = {
    "name": NAME,
    "command": COMMAND,
    "call": FILLED,
    "inbox": ADDRESS,
    "timeout": seconds(),
}
REVIEW: Mapping[str, Shape] = {
    "route": one_of(Route),
    "concurrency": whole(1, MOST_AT_ONCE),
    "tokens": whole(0, LARGEST),
    "on_budget": one_of(OnBudget),
    "pass_lines": whole(0, LARGEST),
    "pass_files": whole(0, LARGEST),
    "panel_paths": TEXTS,
    "panel_agents": TEXTS,
    "panel_size": whole(1, 99),
    "blocks": whole(1, 99),
    "disputed_after": whole(1, 1000),
    "on_dispute": one_word((STOP, CONTINUE), lambda word: word == STOP),
    "reviewers": LIST,
}
REVIEW_FIELDS: Mapping[str, str] = {
    **{key: key for key in REVIEW if key != "reviewers"},
    "disputed_after": "panels",
    "on_dispute": "stop_on_dispute",
}
"""Which attribute of ``Reviewing`` each key becomes."""

BUDGET: Mapping[str, Shape] = {
    "turns": whole(0, LARGEST),
    "tokens": whole(0, LARGEST),
    "seconds": seconds(0),
    "owner": ADDRESS,
}

SECRETS: Mapping[str, Shape] = {"allow": LIST}
ALLOWED: Mapping[str, Shape] = {"literal": FILLED, "pattern": FILLED, "reason": FILLED, "paths": TEXTS}

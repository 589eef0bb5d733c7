"""What the two sides of a task are told when it is handed to them: texts to paste into an app thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...mailbox.heartbeats import MANAGER, WORKER

if TYPE_CHECKING:
    from ...mailbox.pairs import Binding

HEARTBEAT_ADVICE = (
    "Send a heartbeat every 2 minutes, only while you are awake; its answer names the commands to run next."
    " When you have nothing to do and end your turn, stop sending them: new mail wakes you."
)
TEARDOWN = (
    "An empty poll is never a reason to stop: it means that there is no mail yet. The task is over when"
    " heartbeat says that it has ended or is finished, and not before."
)
DISPOSABLE = "Both inboxes end when the task is finished."


def first_commands(binding: Binding, at: str = "") -> dict[str, list[str]]:
    """What each side runs first; from then on its heartbeats say what comes next."""
    task, manager, worker = binding.task, binding.manager, binding.worker
    body = "--type task --correlation"
    return {
        MANAGER: [
            f"postroom heartbeat{at} {task} --role {MANAGER}",
            f"postroom send{at} {worker} --from {manager} {body} {task} --body '{{}}'",
        ],
        WORKER: [
            f"postroom heartbeat{at} {task} --role {WORKER}",
            f"postroom poll{at} {worker} --wait 30",
        ],
    }


def prompt(binding: Binding, role: str, at: str = "") -> str:
    """The text for the app thread of one side; ``at`` are options that go with every command."""
    return (_manager if role == MANAGER else _worker)(binding, at)


def _worker(binding: Binding, at: str) -> str:
    task, worker = binding.task, binding.worker
    return "\n".join(
        [
            f"You are the worker of task {task}. Your inbox is {worker}; your manager is {binding.manager}.",
            f"1. Run: postroom heartbeat{at} {task} --role {WORKER} --json, and then what its answer lists"
            " under next.",
            f"2. Take mail with: postroom poll{at} {worker} --wait 30 --json. Each message is yours for its"
            " lease; lengthen it in time with: postroom extend ID --fence F.",
            f"3. Settle every message: postroom ack{at} ID --fence F --role-ack accepted --reply JSON when it"
            f" is done; postroom nack{at} ID --fence F --reason R when it has to be tried again.",
            f"4. Ask or report with: postroom loop notify{at} {task} 'TEXT'.",
            f"5. Only if another session is to replace you, leave it a note: postroom loop handoff{at} {task}"
            f" --role {WORKER} --summary S --next N. Not when you merely end your turn: it is mail, and wakes"
            " you.",
            *_rules(binding),
        ]
    )


def _manager(binding: Binding, at: str) -> str:
    task, manager = binding.task, binding.manager
    return "\n".join(
        [
            f"You are the manager of task {task}. Your inbox is {manager}; your worker is {binding.worker}.",
            f"1. Run: postroom heartbeat{at} {task} --role {MANAGER} --json, and then what its answer lists"
            " under next.",
            f"2. Give work with: postroom send{at} {binding.worker} --from {manager} --type task"
            f" --correlation {task} --body JSON.",
            f"3. Take mail with: postroom poll{at} {manager} --wait 30 --json, and settle each message with"
            f" postroom ack{at} ID --fence F.",
            f"4. Look with: postroom loop status{at} {task} --json. End an iteration with: postroom loop"
            f" continue{at} {task} --iteration N --evidence JSON.",
            f"5. Finish with: postroom finish{at} {task}. It refuses, and lists what is missing, until"
            " nothing is.",
            *_rules(binding),
        ]
    )


def _rules(binding: Binding) -> list[str]:
    return [HEARTBEAT_ADVICE, TEARDOWN, *([DISPOSABLE] if binding.disposable else [])]

"""Work for those who pull: what they are sent, and what their replies mean. Secrets go neither way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from ...mailbox.codec import encode
from ...store.errors import BadInput
from .allowed import Allowed
from .messages import Bounced, Said, Wanted
from .rules.standing import Artifact, Failure, Result
from .rules.states import TaskStatus
from .work.filling import FOLDER, Filler, Unfilled
from .work.inputs import NoInput, read_inputs
from .work.jobs import Job
from .work.leaving import leaving_end, leaving_reason
from .work.outputs import in_record

OVERDUE = Result(TaskStatus.TIMED_OUT, 0.0, "nobody has done it in time", Failure.TIMEOUT)
UNKNOWN = -1
"""How much they changed, nobody here has seen."""

LONGEST_FILLED = 100 * 1024
"""Bytes of an input that is a file; a larger one is in the prompt by its path."""

LONGEST_PROMPT = 768 * 1024
"""Bytes, as JSON, of a prompt in a message, which has at most 1 MiB."""

TASK = "task"


def correlation(task: str, attempt: int) -> str:
    """What ties a reply to the attempt that it is about."""
    return f"{TASK}/{attempt}/{task}"


def attempt_of(correlation: str | None) -> tuple[str, int] | None:
    """The task and the attempt that a reply is about, if it is about one."""
    kind, _, rest = (correlation or "").partition("/")
    number, _, task = rest.partition("/")
    return (task, int(number)) if kind == TASK and number.isdecimal() and task else None


@frozen
class Unsendable:
    """A task that cannot be sent to whoever pulls, and why."""

    reason: str


def wanted(job: Job) -> tuple[Wanted, tuple[str, ...]] | Unsendable:
    """The task, as whoever pulls it sees it, and the kinds of secrets that were taken out of its prompt.

    Every blank of the prompt is filled in. Inputs that are files are read and proven, which is quick
    enough for a turn: none has more than 1 MiB.
    """
    task, inputs = job.task, job.inputs
    try:
        values = read_inputs(inputs)
        values |= {f"input.{name}": each.path for name, each in inputs.items() if _is_large(each)}
        plain = {name: text.replace("\0", "\N{REPLACEMENT CHARACTER}") for name, text in values.items()}
        filler = Filler({FOLDER: job.folder, **plain}, job.feedback, job.allowed)
        prompt = filler.prompt(task.work.prompt)
    except (NoInput, Unfilled) as error:
        return Unsendable(leaving_reason(str(error), job.allowed))
    if not _fits(prompt):
        return Unsendable(f"its prompt is too long to be sent: {len(prompt)} characters")
    told = Wanted(
        job.run,
        task.id,
        job.attempt,
        prompt,
        job.folder,
        task.files,
        tuple(output.name for output in task.outputs),
        {name: artifact.path for name, artifact in inputs.items() if artifact.path},
        job.feedback,
    )
    return told, tuple(filler.kinds)


def unsent(why: Unsendable) -> Result:
    """What came of an attempt whose task could not even be sent."""
    return Result(TaskStatus.FAILED, 0.0, why.reason, Failure.INPUT)


def bounced(notice: Bounced) -> Result:
    """What came of an attempt that nobody is there for."""
    why = f"nobody is at {notice.recipient}: {notice.reason}"
    return Result(TaskStatus.FAILED, 0.0, leaving_reason(why), Failure.AGENT)


def _is_large(artifact: Artifact) -> bool:
    return bool(artifact.path) and artifact.size > LONGEST_FILLED


def _fits(prompt: str) -> bool:
    """Whether a message can hold it, with all else that it holds."""
    try:
        return len(encode(prompt)) <= LONGEST_PROMPT
    except BadInput:
        return False


def result_of(reply: Said, seconds: float, allowed: Sequence[Allowed] = ()) -> Result:
    """What a reply says about an attempt; what is ``allowed`` in it is no secret."""
    words = "" if reply.output is None else _text(reply.output)
    status = TaskStatus.DONE if reply.status == "done" else TaskStatus.FAILED
    failure = None if status is TaskStatus.DONE else Failure.ERROR
    outputs = tuple(in_record(name, "text", _text(value)) for name, value in reply.outputs.items())
    reason = reply.reason or ("" if failure is None else f"its worker says {reply.status}")
    return Result(
        status,
        round(max(0.0, seconds), 3),
        leaving_reason(reason, allowed),
        failure,
        output=leaving_end(words, allowed),
        tokens=reply.tokens,
        outputs=outputs,
        lines=UNKNOWN,
        files=UNKNOWN,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()

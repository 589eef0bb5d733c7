"""The entry: find the command, load its module alone, run it, and end as the contract says."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from io import TextIOWrapper
from types import FrameType
from typing import Any, NamedTuple, TextIO, cast

from ..store.errors import BadInput, PostroomError
from ..store.shown import shown_url, without_passwords
from . import exits, render
from .parsing import SHARED_HELP, Parser, Shared, meant, take_shared
from .settings import load


class Command(NamedTuple):
    """Where a command lives, below this package, and what it is for."""

    module: str
    help: str


COMMANDS: dict[str, Command] = {
    "pair": Command("pair", "bind a task to a manager and a worker; prints both sides' commands"),
    "send": Command("pull", "put a message into an inbox"),
    "poll": Command("pull", "claim messages from an inbox"),
    "ack": Command("pull", "settle a claimed message as done, with its reply and sends"),
    "nack": Command("pull", "give a claimed message back: retry, release or dead"),
    "extend": Command("pull", "make a lease last longer"),
    "show": Command("pull", "one message with its history"),
    "heartbeat": Command("heartbeat", "tell that a side of a task is alive; answers with what to run next"),
    "loop": Command("loop", "a task's iterations, evidence, criteria and budgets"),
    "finish": Command("finish", "end a task's binding, once nothing is missing any more"),
    "reconcile": Command("reconcile", "find dead holders, dangling bindings, stuck and expired loops"),
    "inbox": Command("inboxes", "list, show, peek into and switch inboxes"),
    "search": Command("search", "find sessions, messages and what happened to tasks by a word"),
    "dead": Command("dead", "dead letters: list, show, requeue, drop; of a run: list, resolve, retry"),
    "wakeup": Command("wakeup", "plan wakes, record them, and have them driven"),
    "autopilot": Command("autopilot", "have a task's roles woken without a person"),
    "plan": Command("plan", "show what a convoy file would do, or everything that is wrong with it"),
    "run": Command("run", "run a convoy of tasks from a TOML file"),
    "runs": Command("runs", "the runs of convoys, newest first"),
    "retry": Command("orders", "have tasks of a run done again"),
    "cancel": Command("orders", "cancel tasks of a run, or all of it"),
    "inject": Command("orders", "add a task to a run"),
    "allow": Command("orders", "add to the budget of a run"),
    "dispute": Command("orders", "list and settle what reviewers block again and again"),
    "events": Command("runs", "everything that happened in a run"),
    "export": Command("runs", "write a run to one file to give away, without its secrets"),
    "status": Command("upkeep", "inboxes, sessions, activations, dead letters; of a run: its tasks"),
    "verify": Command("upkeep", "prove that every accepted message is in exactly one state"),
    "backup": Command("upkeep", "copy the store while others go on working"),
    "restore": Command("upkeep", "put a backup in the store's place"),
    "copy": Command("copy", "move a stopped store into another file, or to or from a server"),
    "repair": Command("repair", "mend a damaged store; copies of its files are kept"),
    "doctor": Command("upkeep", "check this machine, and the store's file or server"),
    "metrics": Command("upkeep", "the store's figures as Prometheus text"),
    "serve": Command("serve", "the verbs, metrics and health over HTTP"),
    "token": Command("token", "make, list, revoke and rotate tokens for the gateway"),
    "simulate": Command("simulate", "size a fleet on virtual time, or break one and look for what is lost"),
    "bench": Command("bench", "measure postroom against raw SQLite on this disk"),
}


SEE = "see how far it got: postroom status"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing but a crash of Python gets past it."""
    shared, words, flaw = take_shared(sys.argv[1:] if argv is None else argv)
    out = cast("TextIO | None", sys.stdout)
    if out is None:  # a claim whose answer goes nowhere would be lost until its lease lapses
        sys.stderr.write("postroom: standard output is closed (give it somewhere to write)\n")
        return exits.USAGE
    _take_any_character(out, shared.as_json)
    with _terminable():
        code = _guarded(shared, words, flaw, out)
    try:
        out.flush()
    except OSError:
        _silence(out)
    return code


def _guarded(shared: Shared, words: Sequence[str], flaw: BadInput | None, out: TextIO) -> int:
    """Run the command; every way it can end has an exit code and one line."""
    try:
        if flaw is not None:
            raise flaw
        return _dispatch(shared, words, out)
    except PostroomError as error:
        _tell(shared, out, error.code, error)
        return exits.exit_code(error)
    except BrokenPipeError:  # whoever read the answer has seen enough
        return exits.FAILED
    except OSError as error:
        _tell(shared, out, "system", PostroomError("the operating system refused", str(error)))
        return exits.FAILED
    except KeyboardInterrupt:
        cause = PostroomError("interrupted", "SIGINT came before it was done", SEE)
        _tell(shared, out, "interrupted", cause)
        return exits.INTERRUPTED
    except exits.Terminated:
        cause = PostroomError("terminated", "SIGTERM came before it was done", SEE)
        _tell(shared, out, "terminated", cause)
        return exits.TERMINATED
    except Exception as error:  # noqa: BLE001  the last line of defence: people get one line
        why = f"{type(error).__name__}: {error}"
        do = "run it again with --debug and report what it shows"
        _tell(shared, out, "internal", PostroomError("postroom failed unexpectedly", why, do))
        return exits.FAILED


def _dispatch(shared: Shared, words: Sequence[str], out: TextIO) -> int:
    """Load the command that the line names and run it."""
    if not words:
        raise BadInput("no command", "postroom needs one", "see: postroom --help")
    name = words[0]
    if name in ("--help", "-h", "help"):
        out.write(_overview())
        return exits.DONE
    if name == "--version":
        return _write_version(shared, out)
    if name not in COMMANDS:
        _refuse(name)
    module: Any = import_module(f".{COMMANDS[name].module}", __package__)
    parser = Parser(prog="postroom", add_help=False)
    module.add_parser(parser.add_subparsers(required=True, prog="postroom"))
    try:
        args = parser.parse_args(words)
    except SystemExit:  # argparse has printed the help that was asked for
        return exits.DONE
    _share(args, shared)
    command = args.command if hasattr(args, "command") else module.command
    code: int = command(args, out)
    out.flush()  # here, where a reader that is gone is still noticed
    return code


def _share(args: argparse.Namespace, shared: Shared) -> None:
    """Give a command what all get: ``store`` (a URL to show), ``json``, ``debug`` and ``settings``."""
    args.settings = load(store=shared.store)
    args.store = shown_url(args.settings.store)
    args.json = shared.as_json
    args.debug = shared.debug


def _refuse(name: str) -> None:
    if name.startswith("-"):
        option = name.partition("=")[0]
        known = ("--store", "--json", "--debug", "--help", "--version")
        raise BadInput(
            f"unknown option {option}",
            "before the command only --store, --json and --debug have a meaning",
            meant(option, known, "see: postroom --help"),
        )
    raise BadInput(
        f"unknown command {name}",
        "postroom has no such command",
        meant(name, COMMANDS, "see: postroom --help"),
    )


def _overview() -> str:
    width = max(map(len, COMMANDS))
    listed = "".join(f"  {name:<{width}}  {about.help}\n" for name, about in COMMANDS.items())
    return (
        "usage: postroom COMMAND ...\n\n"
        "Durable inboxes, and actors that work on them.\n\n"
        f"{listed}\n"
        f"{SHARED_HELP}\n"
        "The arguments of one command: postroom COMMAND --help.\n"
        "Exit codes: 0 done, 1 refused or failed, 2 bad input, 3 lost lease or conflict,\n"
        "4 nothing to do, 5 store unavailable, 130 and 143 interrupted.\n"
    )


def _write_version(shared: Shared, out: TextIO) -> int:
    from importlib.metadata import PackageNotFoundError, version  # costs more than a whole poll

    try:
        found = version("postroom")
    except PackageNotFoundError:
        found = "unknown"
    if shared.as_json:
        render.emit(out, {"version": found})
    else:
        render.lines(out, [f"postroom {found}"])
    return exits.DONE


def _take_any_character(out: TextIO, as_json: bool) -> None:
    """Let a stream take what its encoding cannot: JSON is UTF-8, people get escapes."""
    if isinstance(out, TextIOWrapper):
        if as_json:
            out.reconfigure(encoding="utf-8")
        else:
            out.reconfigure(errors="backslashreplace")


def _tell(shared: Shared, out: TextIO, code: str, error: PostroomError) -> None:
    """Report how a command ended: JSON on standard output, or its lines on standard error."""
    if shared.debug:
        import traceback  # its cost is paid by those who ask for it

        sys.stderr.write(render.escape_lines(without_passwords(traceback.format_exc())))
    what, why, do = map(without_passwords, (error.what, error.why, error.do))
    if shared.as_json:
        with suppress(OSError):  # nobody reads it; the exit code still says it
            document = render.error_document(code, what, why, do, **error.details())
            render.emit(out, document)
    else:
        first, *others = map(render.escape, map(without_passwords, error.lines()))
        sys.stderr.write("".join(f"{line}\n" for line in (f"postroom: {first}", *others)))


def _silence(out: TextIO) -> None:
    """Drop what could not be written, or the interpreter would complain of it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, out.fileno())
    os.close(nowhere)


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise exits.Terminated


@contextmanager
def _terminable() -> Generator[None]:
    """Turn SIGTERM into ``Terminated``, unless the caller already has a use for the signal."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

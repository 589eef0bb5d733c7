"""``send poll ack nack extend show``: the verbs of whoever fetches their mail themselves.

Each is one short-lived process, so this module and all below it load little. Input is checked whole
before the store is opened.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from ..mailbox import views
from ..mailbox.codec import decode
from ..mailbox.desk import OPERATOR, Desk
from ..mailbox.envelope import MAX_ATTEMPTS, PRIORITIES
from ..mailbox.ids import id_text, parse_id
from ..mailbox.outputs import read_lines
from ..store.errors import BadInput, LostLease
from . import render
from .desks import opened_desk
from .exits import DONE, NOTHING_TO_DO
from .messages import SENDS_LIMIT, read_body, read_stdin, write_message
from .parsing import Parser, Subparsers, whole

if TYPE_CHECKING:
    from ..store.records import Delivery, Write

ROLE_ACKS = ("received", "accepted", "blocked")
SHAPE = "with --json one document; otherwise a line of: id, fence, type, sender, attempt, body,"


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of these commands."""
    _add_send(subparsers)
    _add_poll(subparsers)
    _add_settling(subparsers)
    show = subparsers.add_parser("show", help="one message with its history")
    show.add_argument("id", metavar="ID")
    show.set_defaults(command=show_message)


def _add_send(subparsers: Subparsers[Parser]) -> None:
    send = subparsers.add_parser(
        "send",
        help="put a message into an inbox",
        description="It is durable when this ends with 0. Repeated with the same --id and content,"
        " it answers that it was a duplicate.",
    )
    send.add_argument("to", metavar="TO", help="role/name, any:ROLE, all:ROLE or manager-of:TASK")
    send.add_argument("--type", required=True, metavar="T", help="what kind of message it is")
    send.add_argument("--body", required=True, metavar="JSON", help="strict JSON; - reads it from stdin")
    send.add_argument("--from", dest="sender", default=OPERATOR, metavar="A", help=f"({OPERATOR})")
    send.add_argument("--id", metavar="I", help="a UUID, to make repeating it safe")
    send.add_argument("--dedup-key", metavar="K", help="at most one live message has it")
    send.add_argument("--delay", type=float, default=0.0, metavar="S", help="deliver after S seconds")
    send.add_argument("--expires", type=float, metavar="S", help="give up after S seconds")
    send.add_argument("--priority", choices=PRIORITIES, default="normal", help="(normal)")
    send.add_argument("--correlation", metavar="C", help="what it belongs to")
    send.add_argument("--reply-to", metavar="A", help="where the reply goes, if not to the sender")
    send.add_argument("--max-attempts", type=int, default=MAX_ATTEMPTS, metavar="N", help=f"({MAX_ATTEMPTS})")
    send.add_argument("--hold", action="store_true", help="keep it for a recipient that is not there yet")
    send.set_defaults(command=send_message)


def _add_poll(subparsers: Subparsers[Parser]) -> None:
    poll = subparsers.add_parser(
        "poll",
        help="claim messages from an inbox",
        description=f"Exit code 4 if there are none. Answers {SHAPE} separated by tabs, or on a"
        " terminal something to read.",
    )
    poll.add_argument("inbox", metavar="INBOX", help="role/name or any:ROLE")
    poll.add_argument("--wait", type=float, default=0.0, metavar="S", help="up to S seconds (0)")
    poll.add_argument("--max", type=whole(1, 1000), default=1, metavar="N", help="at most N messages (1)")
    poll.add_argument("--lease", type=float, metavar="S", help="how long they are yours (60)")
    poll.set_defaults(command=poll_inbox)


def _add_settling(subparsers: Subparsers[Parser]) -> None:
    ack = subparsers.add_parser(
        "ack",
        help="settle a claimed message as done, with its reply and sends",
        description="Reply and sends commit with the ack, or nothing does. Exit code 3 if the"
        " lease was lost.",
    )
    ack.add_argument("--reply", metavar="JSON", help="an answer to the sender; - reads it from stdin")
    ack.add_argument(
        "--send", choices=["-"], help="send messages too: a JSON object of send's flags on each line of stdin"
    )
    ack.add_argument(
        "--role-ack",
        choices=ROLE_ACKS,
        help="what you say of the work itself, which is no proof that it is done",
    )
    ack.add_argument("--role-text", metavar="T", help="with --role-ack: a line about it")
    ack.set_defaults(command=ack_message)

    nack = subparsers.add_parser("nack", help="give a claimed message back: retry, release or dead")
    nack.add_argument("--delay", type=float, metavar="S", help="retry after S seconds (the schedule's)")
    nack.add_argument("--reason", metavar="R", help="why; it is kept in the history")
    outcome = nack.add_mutually_exclusive_group()
    outcome.add_argument("--dead", action="store_true", help="do not try again")
    outcome.add_argument("--release", action="store_true", help="not begun: this attempt does not count")
    nack.set_defaults(command=nack_message)

    extend = subparsers.add_parser("extend", help="make a lease last longer")
    extend.add_argument("--lease", type=float, metavar="S", help="from now on (60)")
    extend.set_defaults(command=extend_lease)

    for parser in (ack, nack, extend):
        parser.add_argument("id", metavar="ID")
        parser.add_argument(
            "--fence", required=True, type=whole(0, 1 << 53), metavar="F", help="as poll gave it"
        )


def send_message(args: Namespace, out: TextIO) -> int:
    """Send one message; durable when this returns."""
    body = read_body(args.body)
    id = None if args.id is None else parse_id(args.id)
    with opened_desk(args) as desk:
        accepted = desk.send(
            args.to,
            args.type,
            body,
            sender=args.sender,
            id=id,
            hold=args.hold,
            dedup_key=args.dedup_key,
            delay=args.delay,
            expires=args.expires,
            priority=args.priority,
            correlation=args.correlation,
            reply_to=args.reply_to,
            max_attempts=args.max_attempts,
        )
    view = views.sent_view(accepted)
    if args.json:
        render.emit(out, view)
    else:
        render.lines(out, [f"{view['id']} {view['state']}"])
    return DONE


def poll_inbox(args: Namespace, out: TextIO) -> int:
    """Claim messages and write them; what could not be written is released."""
    lease = args.settings.lease if args.lease is None else args.lease
    with opened_desk(args) as desk:
        deliveries = desk.poll(args.inbox, wait=args.wait, max=args.max, lease=lease)
        try:
            _write_deliveries(args, out, deliveries)
        except BaseException:
            _release(desk, deliveries)
            raise
    return DONE if deliveries else NOTHING_TO_DO


def _release(desk: Desk, deliveries: Sequence[Delivery]) -> None:
    """Give back what nobody has read, and the attempt with it."""
    for delivery in deliveries:
        with suppress(LostLease):
            desk.nack(delivery.id, delivery.fence, release=True)


def _write_deliveries(args: Namespace, out: TextIO, deliveries: Sequence[Delivery]) -> None:
    if args.json:
        render.emit(out, {"messages": [views.delivery_view(delivery) for delivery in deliveries]})
    elif out.isatty():
        for delivery in deliveries:
            _write_for_people(out, delivery)
        if not deliveries:
            render.lines(out, [f"nothing to do in {args.inbox}"])
    else:
        for delivery in deliveries:
            out.write("\t".join(map(render.escape, _columns(delivery))) + "\n")
        out.flush()


def _columns(delivery: Delivery) -> tuple[object, ...]:
    """None of them is empty or holds a tab, so that a shell's ``read`` can split them."""
    body = render.escape_json(delivery.body.decode())
    return (
        id_text(delivery.id), delivery.fence, delivery.type, delivery.sender, delivery.attempt, body
    )  # fmt: skip


def _write_for_people(out: TextIO, delivery: Delivery) -> None:
    lease = None if delivery.lease_us is None else delivery.lease_us / 1_000_000
    render.lines(
        out,
        [
            f"{delivery.type} from {delivery.sender}, attempt {delivery.attempt} of"
            f" {delivery.max_attempts}, yours for {render.age(lease)}",
            f"  id     {id_text(delivery.id)}",
            f"  fence  {delivery.fence}",
            f"  body   {render.json_text(decode(delivery.body))}",
        ],
    )


def ack_message(args: Namespace, out: TextIO) -> int:
    """Settle as done; reply and sends are durable with it."""
    id = parse_id(args.id)
    if args.reply == "-" and args.send:
        raise BadInput(
            "--reply - and --send - both read standard input", "there is only one", "give the reply in place"
        )
    if args.role_text is not None and args.role_ack is None:
        raise BadInput("--role-text without --role-ack", "it says something about it", "give both")
    reply = None if args.reply is None else read_body(args.reply)
    sends = read_lines(read_stdin(SENDS_LIMIT, "the sends")) if args.send else []
    with opened_desk(args) as desk:
        said = [] if args.role_ack is None else [_said(desk, id, args.role_ack, args.role_text)]
        settled = desk.ack(id, args.fence, reply, sends, writes=said)
    return _write_settled(args, out, views.settled_view(id, settled))


def _said(desk: Desk, id: bytes, role_ack: str, text: str | None) -> Write:
    """What the recipient says of a message, to commit with its settlement."""
    from ..actors.loops.acks import role_ack_write  # only those who say something pay for it

    return role_ack_write(desk.store, desk.show(id), role_ack, text)


def nack_message(args: Namespace, out: TextIO) -> int:
    """Give back; durable when this returns."""
    id = parse_id(args.id)
    with opened_desk(args) as desk:
        settled = desk.nack(
            id, args.fence, delay=args.delay, reason=args.reason, dead=args.dead, release=args.release
        )
    return _write_settled(args, out, views.settled_view(id, settled))


def _write_settled(args: Namespace, out: TextIO, view: dict[str, Any]) -> int:
    if args.json:
        render.emit(out, view)
    else:
        again = " (it was already)" if view["already"] else ""
        sent = [f"{sent['id']} {sent['state']}" for sent in view.get("sent", ())]
        render.lines(out, [f"{view['id']} {view['state']}{again}", *sent])
    return DONE


def extend_lease(args: Namespace, out: TextIO) -> int:
    """Make a lease last longer; durable when this returns."""
    id = parse_id(args.id)
    lease = args.settings.lease if args.lease is None else args.lease
    with opened_desk(args) as desk:
        view = views.extended_view(id, desk.extend(id, args.fence, lease=lease))
    if args.json:
        render.emit(out, view)
    else:
        render.lines(out, [f"{view['id']} yours for {render.age(view['lease_seconds'])}"])
    return DONE


def show_message(args: Namespace, out: TextIO) -> int:
    """Write all that is known of one message."""
    id = parse_id(args.id)
    with opened_desk(args) as desk:
        view = views.message_view(desk.show(id))
    if args.json:
        render.emit(out, view)
    else:
        write_message(out, view)
    return DONE

"""``status verify backup restore doctor metrics``: how the store is, and keeping it well."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..mailbox.views import inbox_view, session_view, verification_view
from ..store.clock import MICROS
from ..store.errors import BadInput, Conflict
from ..store.shown import is_remote
from . import render
from .desks import only_for_files, opened_store
from .exits import DONE, FAILED
from .inboxes import write_overview
from .parsing import Parser, Subparsers

if TYPE_CHECKING:
    from ..store.port import Store


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of these commands."""
    status = subparsers.add_parser("status", help="inboxes, sessions, activations, dead letters; or a run")
    status.add_argument("run", metavar="RUN", nargs="?", help="a run, by its id or its file")
    status.set_defaults(command=show_status)

    verify = subparsers.add_parser(
        "verify",
        help="prove that every accepted message is in exactly one state",
        description="Exit code 1 if a message is unaccounted for or a fault is found, 5 if the file is"
        " too damaged to be read.",
    )
    verify.add_argument("--deep", action="store_true", help="check every page of the file too")
    verify.set_defaults(command=verify_store)

    backup = subparsers.add_parser("backup", help="copy the store while others go on working")
    backup.add_argument("to", metavar="FILE", help="a file that does not exist yet")
    backup.set_defaults(command=back_up)

    restore = subparsers.add_parser(
        "restore",
        help="put a backup in the store's place; all leases of before it are void",
    )
    restore.add_argument("source", metavar="FILE", help="a file that backup made")
    restore.add_argument("--force", action="store_true", help="replace the store that is there")
    restore.set_defaults(command=restore_backup)

    doctor = subparsers.add_parser("doctor", help="check this machine, and the store's file or server")
    doctor.set_defaults(command=examine)

    metrics = subparsers.add_parser("metrics", help="the store's figures as Prometheus text")
    metrics.set_defaults(command=write_metrics)


def status_document(store: Store) -> dict[str, Any]:
    """What ``status --json`` shows."""
    now = store.clock.now().boot
    counts = store.counts()
    return {
        "store": store.url,
        "inboxes": [inbox_view(count) for count in counts],
        "sessions": [
            {
                **session_view(session),
                "live": session.live and session.expires > now,
                "lease_seconds": max(0.0, (session.expires - now) / MICROS),
            }
            for session in store.sessions()
        ],
        "activations": [
            {"name": term.name, "session": term.session, "term": term.term} for term in store.activations()
        ],
        "dead": sum(count.dead for count in counts),
    }


def show_status(args: Namespace, out: TextIO) -> int:
    """Write the state of everything as of now, or of one run."""
    if args.run is not None:
        from .runs import show_run

        return show_run(args, out)
    with opened_store(args) as store:
        document = status_document(store)
        counts = store.counts()
    if args.json:
        render.emit(out, document)
        return DONE
    render.lines(out, [f"store  {document['store']}"])
    write_overview(out, counts)
    if document["sessions"]:
        render.table(
            out,
            ("session", "name", "kind", "live", "lease"),
            [
                (s["id"], s["name"], s["kind"], s["live"], render.age(s["lease_seconds"]))
                for s in document["sessions"]
            ],
        )
    if document["activations"]:
        render.table(
            out,
            ("activation", "session", "term"),
            [(a["name"], a["session"], a["term"]) for a in document["activations"]],
        )
    if document["dead"]:
        render.lines(out, [f"{document['dead']} dead letters: see them with postroom dead list"])
    return DONE


def verify_store(args: Namespace, out: TextIO) -> int:
    """Write whether anything was lost; 1 if so."""
    with opened_store(args) as store:
        found = store.verify(deep=args.deep)
    if args.json:
        render.emit(out, verification_view(found))
    else:
        verdict = "ok" if found.ok else "FAULTS FOUND"
        render.lines(out, [f"{verdict}: {found.accepted} accepted, {found.unaccounted} unaccounted"])
        render.fields(out, [(word, count) for word, count in found.counts.items() if count])
        render.lines(out, (f"fault: {fault}" for fault in found.faults))
        if found.lost_by_damage:
            render.lines(out, [f"{found.lost_by_damage} messages were given up when the file was repaired"])
        render.lines(out, (f"notice: {notice}" for notice in found.notices))
        if not found.ok and args.deep:
            render.lines(out, ["mend the file with: postroom repair"])
    return DONE if found.ok else FAILED


def back_up(args: Namespace, out: TextIO) -> int:
    """Write a consistent copy; it is complete when this returns."""
    only_for_files(args, "backup", "use pg_dump, or: postroom copy --from {store} --to sqlite:///FILE")
    path = Path(args.to)
    with opened_store(args) as store:
        _create(path)
        try:
            store.backup(args.to)
        except BaseException:
            path.unlink()
            raise
        url = store.url
    size = path.stat().st_size
    if args.json:
        render.emit(out, {"store": url, "backup": args.to, "bytes": size})
    else:
        render.lines(out, [f"{args.to}: {size} bytes"])
    return DONE


def _create(path: Path) -> None:
    """Make an empty file that only its owner may read, for it will hold mail."""
    try:
        path.touch(0o600, exist_ok=False)
    except FileExistsError as error:
        raise Conflict(f"{path} exists", "a backup replaces nothing", "name a new file") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(f"cannot create {path}", why, "name a new file elsewhere") from error


def restore_backup(args: Namespace, out: TextIO) -> int:
    """Put a backup in place of the store, under a new epoch."""
    only_for_files(args, "restore", "use pg_restore, or: postroom copy --from sqlite:///FILE --to {store}")
    from ..store.backup import restore  # it loads apsw

    epoch = restore(Path(args.source), args.store, force=args.force)
    if args.json:
        render.emit(out, {"store": args.store, "restored": args.source, "epoch": epoch})
    else:
        render.lines(out, [f"{args.store}: restored from {args.source}, epoch {epoch}"])
    return DONE


def examine(args: Namespace, out: TextIO) -> int:
    """Write the findings of the doctor."""
    if is_remote(args.settings.store):
        from . import serverdoctor

        return serverdoctor.command(args, out)
    from . import doctor  # the only command that looks at the machine

    return doctor.command(args, out)


def write_metrics(args: Namespace, out: TextIO) -> int:
    """Write the store families, the same as any exporter of this store shows."""
    from ..telemetry.metrics import render_store  # it loads prometheus_client and trio

    with opened_store(args) as store:
        text = render_store(store, inboxes=args.settings.inboxes).decode()
    if args.json:
        render.emit(out, {"store": args.store, "metrics": text})
    else:
        out.write(text)
        out.flush()
    return DONE

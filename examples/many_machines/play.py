"""Several hosts, one PostgreSQL server, and a host whose cable is pulled for a while.

    python examples/many_machines/play.py            about half a minute
    python examples/many_machines/play.py --plain    without network namespaces
    python examples/many_machines/play.py --hosts 5 --jobs 900 --cut 20 --json

Each host is a network namespace of this machine with one worker in it, and so is the server; all hang
on one bridge, and nothing of it reaches the machine's own network. That takes root and ``ip``. Without
them, or for a server of your own (``--postgres URL``), hosts are plain processes, and instead of its cable
the host itself is stopped for a while.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import trio

from postroom.bench.postgres.programs import NoPostgres
from postroom.bench.postgres.server import PostgresServer
from postroom.client import Client
from postroom.store.records import InboxSpec, Register
from postroom.store.transact import transact_one
from postroom.store.urls import open_store

NAMES = ("anna", "ben", "carl", "dora", "emil", "fay", "gus", "hedi")
MANAGER, POOL = "manager/play", "any:worker"
SCHEMA = "many_machines"
NETWORK, SERVER_ADDRESS = "10.77.0", "10.77.0.1"
HOST = Path(__file__).with_name("host.py")
NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of the kernel: which kind of namespace to enter."""

CUT_AFTER = 0.2
"""The share of the jobs that is done before a host is cut off: the most of them are to come."""
PATIENCE_SECONDS = 120.0
MOST_AT_ONCE = 1000

Event = dict[str, Any]


# Machines


class Machines(Protocol):
    """Where hosts run, and how one is cut off."""

    how: str

    def command(self, host: str) -> list[str]: ...

    def cut(self, host: str, process: int) -> None: ...

    def mend(self, host: str, process: int) -> None: ...


class Processes:
    """All on this machine. Whoever is to be cut off is stopped instead."""

    how = "plain processes; the one cut off was stopped (SIGSTOP)"

    def command(self, host: str) -> list[str]:
        """How a program is started there."""
        return []

    def cut(self, host: str, process: int) -> None:
        os.kill(process, signal.SIGSTOP)

    def mend(self, host: str, process: int) -> None:
        os.kill(process, signal.SIGCONT)


class Namespaces:
    """A network of its own for each host and for the server, each with a cable to one bridge."""

    how = "network namespaces; the one cut off had its link down"

    def __init__(self, hosts: Sequence[str]) -> None:
        self._mark = f"postroom-{os.getpid()}"
        self._places = ["server", *hosts]

    def __enter__(self) -> Namespaces:
        with ExitStack() as stack:
            self._make("hub", stack)
            ip("-n", self.name("hub"), "link", "add", "bridge", "type", "bridge")
            ip("-n", self.name("hub"), "link", "set", "bridge", "up")
            for n, place in enumerate(self._places, 1):
                self._make(place, stack)
                self._plug_in(place, f"{NETWORK}.{n}/24")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _make(self, place: str, stack: ExitStack) -> None:
        ip("netns", "add", self.name(place))
        stack.callback(ip, "netns", "del", self.name(place))
        ip("-n", self.name(place), "link", "set", "lo", "up")

    def _plug_in(self, place: str, address: str) -> None:
        here, hub = self.name(place), self.name("hub")
        ip("link", "add", "eth0", "netns", here, "type", "veth", "peer", "name", place, "netns", hub)
        ip("-n", hub, "link", "set", place, "master", "bridge", "up")
        ip("-n", here, "address", "add", address, "dev", "eth0")
        ip("-n", here, "link", "set", "eth0", "up")

    def name(self, place: str) -> str:
        """A place's namespace."""
        return f"{self._mark}-{place}"

    def command(self, host: str) -> list[str]:
        """How a program is started there."""
        return ["ip", "netns", "exec", self.name(host)]

    def cut(self, host: str, process: int) -> None:
        ip("-n", self.name("hub"), "link", "set", host, "down")

    def mend(self, host: str, process: int) -> None:
        ip("-n", self.name("hub"), "link", "set", host, "up")

    @contextmanager
    def inside(self, place: str) -> Generator[None]:
        """What is started in this block, by this thread, is in that place."""
        libc = ctypes.CDLL(None, use_errno=True)
        home, there = Path("/proc/self/ns/net"), Path("/run/netns") / self.name(place)
        with home.open() as back, there.open() as into:
            if libc.setns(into.fileno(), NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "cannot enter the namespace")
            try:
                yield
            finally:
                libc.setns(back.fileno(), NEW_NETWORK)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def namespaces_work() -> bool:
    """Whether this machine lets us make networks."""
    name = f"postroom-{os.getpid()}-try"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    try:
        ip("netns", "add", name)
        try:
            ip("-n", name, "link", "add", "one", "type", "veth", "peer", "name", "two")
            ip("-n", name, "link", "add", "bridge", "type", "bridge")
        finally:
            ip("netns", "del", name)
    except subprocess.CalledProcessError:
        return False
    return True


def set_up(args: argparse.Namespace, hosts: Sequence[str], stack: ExitStack) -> tuple[Machines, str, str]:
    """The machines, the store's URL as they see it, and as we do. Raises ``NoPostgres``."""
    if args.postgres:
        return Processes(), args.postgres, args.postgres
    server = PostgresServer(settings={"listen_addresses": "" if args.plain else "*"})
    if args.plain:
        url = stack.enter_context(server).url(SCHEMA)
        return Processes(), url, url
    machines = stack.enter_context(Namespaces(hosts))
    with machines.inside("server"):
        stack.enter_context(server)
    rules = server.folder / "data" / "pg_hba.conf"
    rules.write_text(rules.read_text() + f"host all all {NETWORK}.0/24 trust\n")
    with server.connect() as connection:
        connection.execute("select pg_reload_conf()")
    return machines, f"postgresql://postgres@{SERVER_ADDRESS}/postgres?schema={SCHEMA}", server.url(SCHEMA)


# The play


class Play:
    """What is done, and what is heard of it. Times are seconds since it began."""

    def __init__(self, args: argparse.Namespace, machines: Machines, hosts: Sequence[str]) -> None:
        self.args = args
        self.machines = machines
        self.hosts = hosts
        self.victim = hosts[-1]
        self.began = time.monotonic()
        self.cut_at = self.mended_at = 0.0
        self.events: dict[str, list[Event]] = {host: [] for host in hosts}
        self.replies: list[Event] = []

    def now(self) -> float:
        return time.monotonic() - self.began

    async def run(self, their_url: str, our_url: str) -> None:
        """Send the jobs, cut one host off and bring it back, and gather what was answered."""
        async with Client(our_url) as client, trio.open_nursery() as nursery:
            processes: dict[str, trio.Process] = {}
            for host in self.hosts:
                processes[host] = await nursery.start(self._host, host, their_url)
            self.began = time.monotonic()
            nursery.start_soon(self._cut_off, processes[self.victim].pid)
            for n in range(self.args.jobs):
                await client.send(POOL, "job", {"n": n}, sender=MANAGER)
            with trio.move_on_after(PATIENCE_SECONDS):
                while len(self.replies) < self.args.jobs or (self.cut_at and not self._victim_was_told()):
                    await self._gather(client)
            if not self._victim_was_told():
                nursery.cancel_scope.cancel()
            for process in processes.values():
                assert process.stdin is not None
                await process.stdin.aclose()
        await self._gather_rest(our_url)

    def _victim_was_told(self) -> bool:
        """Whether it has heard of each job that it had in hand when it was cut off."""
        events = self.events[self.victim]
        settled = sum(1 for each in events if each["event"] in ("done", "lost"))
        return bool(self.mended_at) and settled >= sum(1 for each in events if each["event"] == "taken")

    def _may_cut(self) -> bool:
        """Whether the play is well under way, and the victim has just taken work."""
        last: str = self.events[self.victim][-1]["event"]
        return last == "taken" and len(self.replies) >= CUT_AFTER * self.args.jobs

    async def _gather(self, client: Client) -> None:
        for reply in await client.poll(MANAGER, 0.2, MOST_AT_ONCE):
            await client.ack(reply.id, reply.fence)
            self.replies.append(reply.body)

    async def _gather_rest(self, url: str) -> None:
        async with Client(url) as client:
            await self._gather(client)

    async def _cut_off(self, process: int) -> None:
        """Pull the cable of a host that has work in hand."""
        while not self._may_cut():  # noqa: ASYNC110  # it is another process
            await trio.sleep(0.005)
        self.machines.cut(self.victim, process)
        self.cut_at = self.now()
        await trio.sleep(self.args.cut)
        self.machines.mend(self.victim, process)
        self.mended_at = self.now()

    async def _host(
        self, host: str, url: str, task_status: trio.TaskStatus[trio.Process] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """One host's program, listened to until it ends."""
        times = ["--lease", str(self.args.lease), "--work", str(self.args.work)]
        command = [*self.machines.command(host), sys.executable, str(HOST), host, url, *times]
        process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            rest = b""
            async for chunk in process.stdout:
                *lines, rest = (rest + chunk).split(b"\n")
                for event in map(json.loads, lines):
                    if event["event"] == "ready":
                        task_status.started(process)
                    self.events[host].append({**event, "at": event["at"] - self.began})
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()


# The account


def account(play: Play) -> dict[str, Any]:
    """What became of every job."""
    answers = Counter(reply["n"] for reply in play.replies)
    done = {
        event["n"]: event["at"]
        for host in play.hosts
        for event in play.events[host]
        if event["event"] == "done"
    }
    by = {reply["n"]: reply["host"] for reply in play.replies}
    theirs = play.events[play.victim]
    lost = {event["n"]: event["at"] for event in theirs if event["event"] == "lost"}
    taken = {event["n"]: event["at"] for event in theirs if event["event"] == "taken"}
    waits = [done[n] - taken[n] for n in lost if n in done]
    heard = [event["at"] for event in theirs if event["at"] > play.mended_at and event["event"] != "taken"]
    return {
        "machines": play.machines.how,
        "jobs": play.args.jobs,
        "answered_once": sum(1 for n in range(play.args.jobs) if answers[n] == 1),
        "answered_more_than_once": sum(1 for times in answers.values() if times > 1),
        "by_host": {host: sum(1 for one in by.values() if one == host) for host in play.hosts},
        "seconds": round(max(done.values()), 1),
        "cut_off": play.victim,
        "cut_at": round(play.cut_at, 1),
        "back_at": round(play.mended_at, 1),
        "heard_again_at": round(min(heard), 1) if heard else None,
        "leases_lost": len(lost),
        "done_instead_by": dict(Counter(by[n] for n in lost)),
        "told": sorted({event["why"] for event in theirs if event["event"] == "lost"}),
        "waited_median": round(statistics.median(waits), 1) if waits else None,
        "waited_longest": round(max(waits), 1) if waits else None,
        "done_after_return": sum(1 for e in theirs if e["event"] == "done" and e["at"] > play.mended_at),
    }


def picture(play: Play) -> list[str]:
    """Each host's jobs of each second, as bars."""
    bars = " ▁▂▃▄▅▆▇█"
    counts = {
        host: Counter(int(event["at"]) for event in play.events[host] if event["event"] == "done")
        for host in play.hosts
    }
    length = 1 + max(second for found in counts.values() for second in found)
    most = max(max(found.values(), default=1) for found in counts.values())
    rows: list[str] = []
    for host, found in counts.items():
        line = "".join(bars[-(-found[second] * 8 // most)] for second in range(length))
        rows.append(f"  {host:6}|{line}|")
    cut, back = int(play.cut_at), int(play.mended_at)
    rows.append(f"  {'':6} {' ' * cut}{'x' * max(1, back - cut)} {play.victim} is cut off")
    return rows


def show(play: Play) -> None:
    """The account for people."""
    said = account(play)
    print(f"{said['jobs']} jobs in {said['seconds']} s on {len(play.hosts)} hosts ({said['machines']})\n")
    print("\n".join(picture(play)), end="\n\n")
    once, more = said["answered_once"], said["answered_more_than_once"]
    print(f"  answered once: {once} of {said['jobs']}; more than once: {more}")
    for host, count in said["by_host"].items():
        print(f"  {host:6} {count:5} jobs")
    print(f"\n{said['cut_off']} was cut off at {said['cut_at']} s and was back at {said['back_at']} s;")
    print(f"  it heard of the server again at {said['heard_again_at']} s")
    if said["leases_lost"]:
        others = ", ".join(f"{count} by {host}" for host, count in said["done_instead_by"].items())
        print(f"  it had lost {said['leases_lost']} leases; those jobs were done {others}")
        print(f"  they waited {said['waited_median']} s (median), {said['waited_longest']} s at most")
        print(*(f"  it was told: {why}" for why in said["told"]), sep="\n")
    print(f"  after its return it did {said['done_after_return']} jobs")


def register(url: str, hosts: Sequence[str]) -> None:
    """Make the store with its inboxes."""
    store = open_store(url, create=True)
    try:
        addresses = (MANAGER, POOL, *(f"worker/{host}" for host in hosts))
        transact_one(store, Register(tuple(map(InboxSpec, addresses))))
    finally:
        store.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Many machines, one of which is cut off for a while.")
    parser.add_argument("--hosts", type=int, default=3, choices=range(2, len(NAMES) + 1))
    parser.add_argument("--jobs", type=int, default=450)
    parser.add_argument("--work", type=float, default=0.1, help="seconds that a job takes")
    parser.add_argument("--lease", type=float, default=3.0, help="seconds that a job is a host's own")
    parser.add_argument("--cut", type=float, default=8.0, help="seconds that a host is cut off")
    parser.add_argument("--plain", action="store_true", help="plain processes")
    parser.add_argument("--postgres", metavar="URL", help="a server of your own, with a schema for this")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    hosts = NAMES[: args.hosts]
    if not (args.plain or args.postgres or namespaces_work()):
        print("this machine grants no network namespaces: the hosts are plain processes", file=sys.stderr)
        args.plain = True
    try:
        with ExitStack() as stack:
            machines, their_url, our_url = set_up(args, hosts, stack)
            register(our_url, hosts)
            play = Play(args, machines, hosts)
            trio.run(play.run, their_url, our_url)
    except NoPostgres as error:
        print(f"there is no PostgreSQL to play on: {error}", file=sys.stderr)
        return 2
    if not play.mended_at:
        print(f"{play.victim} was not cut off: too few jobs; play with more --jobs", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(account(play)))
    else:
        show(play)
    return 0 if account(play)["answered_once"] == args.jobs else 1


if __name__ == "__main__":
    sys.exit(main())

"""The options of one run: everything that a seed decides about a scenario, before anything happens."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from shlex import quote

from msgspec import Struct, structs

from .planning import Fault, plan
from .scenario import Load, Scenario, draw, draw_number


class Options(Struct, frozen=True):
    """One run, drawn from a seed. Runs of equal options are equal.

    ``seconds`` is how long the load and the faults last; after that, what is left must drain.
    """

    scenario: str
    seed: int
    nodes: tuple[str, ...]
    concurrency: int
    senders: int
    askers: int
    pullers: int
    commit_seconds: float
    jobs: int
    questions: int
    pulled: int
    steps: int
    burst: int
    seconds: float
    patience: float
    shares: Load
    faults: tuple[Fault, ...]
    left_out: tuple[int, ...] = ()
    divisor: int = 1

    def without(self, dropped: Sequence[int]) -> Options:
        """The same run without some of its faults, by their numbers from 0 on."""
        left_out = tuple(sorted({*self.left_out, *dropped}))
        return structs.replace(self, left_out=left_out)

    def lighter(self, divisor: int) -> Options:
        """The same run with less to do."""
        return structs.replace(
            self,
            jobs=max(1, self.jobs // divisor),
            questions=self.questions // divisor,
            pulled=self.pulled // divisor,
            steps=self.steps // divisor,
            divisor=self.divisor * divisor,
        )

    @property
    def command(self) -> str:
        """The command line that runs exactly this."""
        words = ["postroom simulate", f"--scenario {quote(self.scenario)}", f"--seed {self.seed}"]
        if self.left_out:
            words.append(f"--leave-out {','.join(map(str, self.left_out))}")
        if self.divisor > 1:
            words.append(f"--lighter {self.divisor}")
        return " ".join(words)

    @property
    def armed(self) -> list[tuple[int, Fault]]:
        """The faults that are not left out, with their numbers."""
        return [(n, fault) for n, fault in enumerate(self.faults) if n not in self.left_out]

    def lines(self) -> list[str]:
        """What the seed stands for, a line each."""
        fleet = (
            f"fleet: nodes {', '.join(self.nodes)} (concurrency {self.concurrency}), senders {self.senders},"
            f" askers {self.askers}, pullers {self.pullers}, commit {self.commit_seconds * 1000:g} ms"
        )
        load = (
            f"load: jobs {self.jobs} in bursts of up to {self.burst}, questions {self.questions},"
            f" pulled {self.pulled}, steps {self.steps}, over {self.seconds:g} s"
        )
        faults = [
            f"fault {n}: {fault}" + (" (left out)" if n in self.left_out else "")
            for n, fault in enumerate(self.faults)
        ]
        return [fleet, load, *(faults or ["no faults"])]


def expand(name: str, scenario: Scenario, seed: int) -> Options:
    """Draw the options of one seed. ``name`` is what the scenario was called by."""
    rng = Random(f"{seed}/options")
    fleet, load = scenario.fleet, scenario.load
    nodes = tuple(f"node-{n}" for n in range(1, draw(rng, fleet.nodes) + 1))
    seconds = draw_number(rng, load.seconds)
    return Options(
        scenario=name,
        seed=seed,
        nodes=nodes,
        concurrency=draw(rng, fleet.concurrency),
        senders=draw(rng, fleet.senders),
        askers=draw(rng, fleet.askers),
        pullers=draw(rng, fleet.pullers),
        commit_seconds=draw_number(rng, fleet.commit_seconds),
        jobs=draw(rng, load.jobs),
        questions=draw(rng, load.questions),
        pulled=draw(rng, load.pulled),
        steps=draw(rng, load.steps),
        burst=draw(rng, load.burst),
        seconds=seconds,
        patience=scenario.patience,
        shares=load,
        faults=tuple(
            plan(
                Random(f"{seed}/faults"),
                scenario.faults.weights,
                draw(rng, scenario.faults.amount),
                seconds,
                list(nodes),
            )
        ),
    )

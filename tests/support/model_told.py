"""What a store has answered, in the words of its model."""

from __future__ import annotations

from model_letters import Expected, Told

from postroom.store import records as r


def told(answer: r.Answer) -> Expected:
    """What the store has answered, in the words of the model."""
    match answer:
        case r.Accepted():
            handed = answer.delivery and _delivered(answer.delivery)
            return Told("accepted", (answer.id, answer.state, handed, answer.overflow, answer.copies))
        case r.Claimed():
            return Told("claimed", tuple(_delivered(d) for d in answer.deliveries))
        case r.Settled():
            return Told("settled", (answer.state, answer.already, tuple(told(o) for o in answer.outputs)))
        case r.Extended():
            return Told("extended", (answer.lease_us,))
        case r.Changed():
            return Told("changed", (answer.count,))
        case r.Session():
            return Told("session", (answer.id, answer.expires))
        case r.Term():
            return Told("term", (answer.name, answer.session, answer.term))
        case r.Ticked():
            counts = (answer.promoted, answer.expired, answer.taken_back, answer.buried)
            return Told("ticked", (*counts, answer.next_due_us))
        case _:
            return answer.code


def _delivered(d: r.Delivery) -> tuple[object, ...]:
    return (d.id, d.fence, d.recipient, d.attempt, d.priority, d.alone, d.lease_us)

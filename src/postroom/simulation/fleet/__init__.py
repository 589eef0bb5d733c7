"""Fleets of app threads on virtual time: to size one before paying for it, and to prove how it is woken."""

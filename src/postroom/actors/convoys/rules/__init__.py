"""The rules of a convoy: what follows from what has happened. No clock, no store, no actor."""

"""A task's loop: its iterations, evidence, criteria, budgets and acks, as plain records and rules."""

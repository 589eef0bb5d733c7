"""Doing what tasks say: commands, calls, prompts; their hooks, gates, steps and outputs."""

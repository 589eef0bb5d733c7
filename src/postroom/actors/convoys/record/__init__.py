"""The record of a run: its facts, the file derived from them, what is checked of them, what leaves."""

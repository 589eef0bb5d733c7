"""What is said: addresses, bodies, envelopes, and the verbs of an inbox.

Import the module you need; nothing is loaded for the sake of the others.
"""

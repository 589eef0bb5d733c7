"""What is measured: metrics from events and from the store, and the one listener that shows them.

Lower floors report events to an observer they are given; they never import this package.
"""

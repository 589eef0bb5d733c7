"""What postroom measures about itself: one function for each row of the table of figures.

Every row runs in a process of its own, next to a raw baseline on the same disk in the same
minute, so that a row says something about postroom and little about the machine. ``README.md`` in
this folder says how to read the rows and which ideas were tried.
"""

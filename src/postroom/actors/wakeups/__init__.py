"""Waking those who fetch their mail themselves: only when there is something to do, and only once.

``rules`` decides, ``planning`` reads what there is to decide from, ``receipts`` holds what people did
with a plan. ``wakener`` does it by itself, through ``drivers``. All but the last two are plain Python.
"""

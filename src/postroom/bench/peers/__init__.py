"""postroom beside other ways to hand a job to a worker, on the same disk in the same run.

The libraries compared with come with ``pip install 'postroom[peers]'`` and are imported only in the
process that measures them. ``README.md`` in this folder says what is alike and what is not.
"""

"""One program for each tool, doing the job of `tests.bench.job`; each runs as a process.

Each takes the paths of ``job.json`` and ``target.json``, except where the tool
has a way of its own to be given such things.
"""

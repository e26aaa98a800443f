"""The benchmark: ``python -m tests.bench``, or ``make bench``.

Each part (`host`, `upload`, `help`, `up`) measures elysium and its peers in the
same rounds on the same machine and adds to one table (`figures`). What is
measured and why is in docs/benchmarks.md. Nothing here is shipped.
"""

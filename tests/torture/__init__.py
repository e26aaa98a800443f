"""``make torture``: attack the promises of elysium as a whole, from a seed, until a time is up.

An area is one kind of attack, in a module or package of its own that has an `AREA`
(`tests.torture.cases.Area`); `tests.torture.areas` lists them. An area makes its case number K
from the seed and K alone, so that ``--seed N --case AREA/K`` runs the same case again.

`tests.torture.corpus` holds inputs that once failed; `make test` replays all of them.

What does not belong here: the regression test of a fault that was found. It stands beside the
code that was wrong.
"""

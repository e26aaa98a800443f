"""Every parser of elysium, with inputs that hypothesis makes of valid ones.

A parser returns a value, or raises an `ElysiumError` or what its docstring names (`target.Target`);
it takes less than a second or two, and no error quotes a secret. A case is one parser and some
dozens of inputs; of those that fail it keeps the smallest that hypothesis finds.
"""

from tests.torture.fuzz.area import AREA

__all__ = ["AREA"]

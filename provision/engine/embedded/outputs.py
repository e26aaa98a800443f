"""What the SDK waits for at a program's end, so that a long program costs a straight line.

The SDK waits for all of a program's outputs at once, and whenever one has come,
anew for all others (`pulumi.runtime.stack.wait_for_rpcs`): a square of their
number, and with a thousand resources the most of a run's time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

AT_A_TIME = 64
"""How many of its outputs the SDK waits for at a time."""

_Output = asyncio.Future[Any]


class Outputs(set[_Output]):
    """In the place of the SDK's own set of outputs: iterating shows only some of them.

    One that fails is heard of at once, also while it is not shown: then what
    is always shown beside them fails in its place.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the loop of the program, which may not run yet."""
        super().__init__()
        self._shown: list[_Output] = []
        self._noted: set[_Output] = set()
        self._failure: _Output = loop.create_future()

    def add(self, output: _Output, /) -> None:
        """Wait for `output` too."""
        if output is self._failure:
            return
        super().add(output)
        if output not in self._noted:
            self._noted.add(output)
            output.add_done_callback(self._note)

    def __iter__(self) -> Iterator[_Output]:
        """Yield some, and what fails when another one does."""
        self._shown = list(itertools.islice(super().__iter__(), AT_A_TIME))
        return iter([*self._shown, self._failure])

    def clear(self) -> None:
        """Forget those that were shown last: to the SDK they were all."""
        self.difference_update(self._shown)

    def _note(self, output: _Output) -> None:
        self._noted.discard(output)
        if self._failure.done():
            return
        if output.cancelled():
            self._failure.cancel()
        elif (error := output.exception()) is not None:
            self._failure.set_exception(error)

"""JSON that others wrote, or that a crash or a disk may have damaged: wrong only in one way."""

from __future__ import annotations

import json
from typing import Any


def loads(text: str | bytes) -> Any:
    """Return the value of `text`.

    Raises `json.JSONDecodeError` for all that is no JSON, and for what Python cannot hold: text
    that is not UTF-8, nesting deeper than its stack, a number of thousands of digits. Its message
    quotes nothing of `text`.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        raise json.JSONDecodeError("it is nested too deeply", "", 0) from error
    except UnicodeDecodeError as error:
        raise json.JSONDecodeError("it is not UTF-8 text", "", 0) from error
    except ValueError as error:
        raise json.JSONDecodeError("a number in it is too large", "", 0) from error

"""Taking over what was set up by hand: what is there, and which settings describe it.

Looking changes nothing. Once the settings are written, the stack's own preview
shows whether anything would change, and `up` writes what is there into the
state.
"""

from provision.operations.adoption.look import look, write
from provision.operations.adoption.model import Found, Part, Setting

__all__ = ["Found", "Part", "Setting", "look", "write"]

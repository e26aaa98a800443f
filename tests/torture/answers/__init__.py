"""One answer of GitHub spoiled, in the middle of a job, before or after it had its effect.

A case is a job (`jobs`), one of its calls, and one of the kinds of wrong answers (`kinds`). The job
ends right, or with an error that names the server; no other server gets a token, and a redirect
is no success. The same job again, with nothing spoiled, ends right: nothing is there twice.
"""

from tests.torture.answers.area import AREA

__all__ = ["AREA"]

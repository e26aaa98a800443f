"""A stand-in for GitHub: its REST calls that elysium uses, and git over a real sshd.

What lives here: the server (``python -m provision.sandbox.forge``), the bare
repositories behind it, the sshd in front of them, and `control`, the client
that the sandbox and the tests drive it with. Bodies, errors and headers follow
GitHub's REST documentation, named in each docstring; calls that GitHub has and
this does not are answered 404 and marked ``unknown`` in the call log.

What must not: anything that the tools use to talk to the real GitHub
(``provision.github``), and any name of a real host.

Imports point one way, also those for types alone. `callers` and `messages` are
plain values. `app` puts the parts of a forge together. `routing` says what a
handler is, `routes` holds the handlers, and `listener` serves them.
"""

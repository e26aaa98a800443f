"""The engine: runs the Pulumi program and keeps its state.

What belongs here: the embedded engine (`embedded`), the adapter for the
``pulumi`` CLI (`upstream`), state files in Pulumi's own format (`state`), and
what other packages use of them: `api` and `events`, which import nothing
heavy. What does not: anything that knows nodes, GitHub or Kubernetes, and
anything that prints.
"""

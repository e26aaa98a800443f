"""The engine: runs the Pulumi program and keeps its state.

Here live the embedded engine (in this process, without the `pulumi` CLI), the
adapter for the upstream one, state files in Pulumi's own format, and the
events both report. What must not live here: anything that knows nodes, GitHub
or Kubernetes, and anything that prints.

`api` and `events` are what other packages use; they import nothing heavy.
"""

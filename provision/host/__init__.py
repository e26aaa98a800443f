"""Reaching a node: SSH transport, facts, files, units. Knows nothing of k3s, Flux or Pulumi.

`transport` connects and executes, `session` is what resources use, `facts` is
what one batched script reads, `bundle` is how files and units change.
What does not belong here: what a node should look like (``provider``), and
anything that prints.
"""

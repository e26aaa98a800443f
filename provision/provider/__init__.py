"""The ``elysium`` provider: one module a resource, each built of observe, plan, apply.

What does not belong here: SSH itself (``host``), GitHub itself (``github``),
the Kubernetes API itself (``kube``), and anything that prints.
"""

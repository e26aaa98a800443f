"""The upstream engine: the ``pulumi`` CLI, driven through its Automation API.

What belongs here: the workspace of the CLI, its calls, its events and its
errors. What does not: anything that the embedded engine needs.
"""

"""The embedded engine: Pulumi's protocol in this process, without the ``pulumi`` CLI.

What belongs here: running the program, serving the SDK's calls, and the steps
that resources take. What does not: state files (``engine.state``). Only
`engine` and `interrupts` may be imported without loading the SDK.
"""

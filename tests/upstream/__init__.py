"""Whole runs under Pulumi's own engine: ``make upstream``.

`parts` builds the CLI and the kubernetes plugin from their Go modules, into the
cache. `lives` runs a cluster's life in a sandbox, each step under one engine.
`page` writes the results into docs/engine.md.
"""

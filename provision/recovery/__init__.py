"""Backup bundles, and what is made of them.

What lives here: the bundle's format, collecting what goes into one, where
copies of it are kept. What must not: how a cluster is brought up
(`provision.operations`), printing, asking.
"""

"""The throwaway node, forge, object store and cluster that elysium is tried on.

What lives here: the network of namespaces, the Debian node in it, building the
Go programs that run there, the stand-ins for what cannot be built, and the
life of a whole sandbox (`provision.sandbox.lifecycle`).

What must not: anything that a real node needs. Nothing outside `provision.cli`
imports this package. `provision.recovery` uses a sandbox through a protocol of
its own, which `provision.sandbox.rehearsal` implements.
"""

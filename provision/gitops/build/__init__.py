"""Builds of a GitOps repository, as Flux makes them.

What belongs here: finding Flux Kustomizations, building their folders with
kustomize, and substituting variables. What does not: judging whether a cluster
comes up (``coldstart``).
"""

"""elysium: from a bare Linux node to a reconciling GitOps cluster.

What belongs here: one package a concern, listed in ``docs/architecture.md``.
Imports point one way (a test holds this). The modules directly in this folder
(errors, secret, change, progress, crypter, config) are the vocabulary that the
packages share; they import nothing heavy.
"""

__version__ = "0.1.0"

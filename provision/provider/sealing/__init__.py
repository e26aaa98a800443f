"""``elysium:secrets:SealingKey`` and ``elysium:secrets:Seed``: what an empty cluster lacks.

What belongs here: the sealing keys as a cluster has them, and the objects that
must exist before Flux starts. What does not: the encryption of SealedSecrets
and the analysis of a repository (``gitops``).
"""

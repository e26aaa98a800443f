"""SealedSecrets: encryption, keys, and resealing a repository.

What belongs here: the format of Bitnami's Sealed Secrets, offline. What does
not: the controller in a cluster (``provider.sealing``).
"""

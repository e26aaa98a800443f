"""elysium: from a bare Linux node to a reconciling GitOps cluster.

What lives here: one folder per concern, listed in ``docs/architecture.md``;
imports point one way, ``cli -> recovery -> operations -> sandbox, engine ->
stacks -> provider -> host, github, gitops, kube, artifacts -> config`` (a test holds
this). The modules directly in this folder (errors, secret, change, progress,
config) are the vocabulary everything else shares and import nothing heavy.
"""

__version__ = "0.1.0"

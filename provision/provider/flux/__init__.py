"""``elysium:flux:Components`` and ``elysium:flux:Sync``: Flux and what it follows.

What belongs here: Flux' files in the repository, its controllers and objects
in the cluster, and waiting for its Kustomizations. What does not: the deploy
key (``deploy_key``), GitHub itself (``github``) and building a repository
(``gitops``).

Other packages below ``provider`` may use `objects` and `repository` (a test
holds this).
"""

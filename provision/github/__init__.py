"""GitHub: deploy keys, commits, pull requests and trees of one repository.

Everything goes through PyGithub, one place for retries (``api``) and one for
turning refusals into sentences (``failures``). What does not belong here: the
git protocol (``host.gitssh``), Flux, Kubernetes, and anything that decides
what a repository should hold.
"""

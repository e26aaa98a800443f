"""Reading and checking a GitOps repository, and its sealed secrets: offline and without effects.

What lives here: the tree of files, building Flux Kustomizations as
kustomize-controller would, what an empty cluster lacks for them, and the
encryption of SealedSecrets. Nothing here contacts GitHub or a cluster, and
nothing writes outside a temporary folder and the given cache folder.
"""

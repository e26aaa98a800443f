"""Reading and checking a GitOps repository, offline and without effects.

What belongs here: the tree of files and their YAML documents, builds as Flux
makes them (`build`), the cold-start analysis (`coldstart`), the changes between two
trees (`diff`), and SealedSecrets (`sealing`). What does not: contact with GitHub
or a cluster, and writing outside a temporary folder.
"""

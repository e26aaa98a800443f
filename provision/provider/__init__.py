"""The ``elysium`` provider: one package a resource, each built of observe, plan, apply.

What belongs here: the resources (`k3s`, `media`, `gpu`, `flux`, `deploy_key`,
`sealing`), their shape (`resource`), their connections, and the protocol's
side that both engines call (`pulumi_provider`, `plugin`). What does not: SSH
itself (``host``), GitHub itself (``github``), the Kubernetes API itself
(``kube``), and anything that prints.
"""

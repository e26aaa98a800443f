"""``elysium:node:K3sServer``: a k3s server on a node.

What belongs here: the facts, the plan, the files and the service of a k3s
server, the rotation of its token and of its client CA, and reading a k3s that
was installed by hand. What does not: SSH itself (``host``) and the Kubernetes
API itself (``kube``).
"""

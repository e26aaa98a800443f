"""The Kubernetes API: a small client, readiness and waiting, and the ``kubernetes`` provider.

The provider serves `pulumi_kubernetes` types to the embedded engine; the client
is what the ``elysium`` provider's resources are given. Nothing here knows Flux
bootstrap, GitHub or nodes, and nothing here reads the stack configuration.
"""

"""The Pulumi program: which resources a cluster is made of, and in what order.

One program for every stack; what differs between clusters is configuration.
No resource is made at import time. What does not belong here: how a resource
reaches what is wanted (``provision.provider``), and anything that prints.
"""

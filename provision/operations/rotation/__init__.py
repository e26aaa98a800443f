"""Rotating credentials: one module a credential, all by the same pattern.

Add the new one, prove it, switch to it, prove what uses it, remove the old
one. Nothing here prints or asks; `provision.cli.commands.rotate` does. What
does not belong here: how a resource does its own part (``provision.provider``).
"""

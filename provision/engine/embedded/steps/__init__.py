"""The steps of the embedded engine: what happens to one resource.

What belongs here: deciding between create, update, replace, delete, read and
refresh, and carrying the decision out through a provider. What does not: the
order of registrations (``monitor``, ``program``) and the journal
(``engine.state``).
"""

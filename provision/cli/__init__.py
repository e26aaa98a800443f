"""The command line: the only place that prints, asks or exits.

What lives here: one thin file a command in ``commands/``, how events look in
``render/``, and what all commands share (options, terminal, failures). What
must not: decisions about a cluster; commands call ``provision.operations``.
`main` and what it imports stay light: ``elysium --help`` loads click and
nothing else of weight, so every command imports what it needs when it runs.
"""

"""Backup bundles, and what is done with them.

What belongs here: the format of a bundle (`bundle`), making and keeping
backups (`backup`), restoring a cluster (`restore`), rehearsing that
(`drill`), and the record of a restore (`journal`). What does not: how a
cluster is brought up (``operations``), printing and asking.

Only the drill uses a sandbox. It reaches the sandbox through the protocol in
`provision.recovery.drill.sandbox`. Nothing here imports `provision.sandbox`.
"""

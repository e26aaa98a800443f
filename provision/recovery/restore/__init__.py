"""Restoring a cluster from a bundle.

What belongs here: the stack as it will be (`workspace`), the report before
anything changes (`report`, `preconditions`, `decryptability`), the steps
(`steps`), what a bundle puts on the node and into the cluster (`node`,
`cluster`, `etcd_snapshot`), and the comparison at the end (`compare`). What
does not: printing and asking.
"""

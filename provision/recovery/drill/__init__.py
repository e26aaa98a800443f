"""A restore rehearsed in a sandbox, and the report of it.

What belongs here: the protocol of a sandbox (`sandbox`), a configuration and a
repository made for one (`sandbox_config`), the rehearsal (`rehearse`), a
datastore turned towards the sandbox (`repoint`), the outcome, the page of it and
where both go (`outcome`, `page`, `report`). What does not: how a restore works,
how a sandbox works, printing and asking.

A drill reaches its sandbox only through the protocol `sandbox.Sandbox`. The
caller of `rehearse.rehearse` passes the sandbox in: ``elysium drill`` passes a
`provision.sandbox.rehearsal.Rehearsal`.
"""

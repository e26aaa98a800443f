"""A restore rehearsed in a sandbox, and the report of it.

What lives here: the sandbox made to stand for node, GitHub and media library
(`sandbox_config`), the rehearsal (`rehearse`), its outcome and the page of it
(`outcome`, `page`). What must not: how a restore works, printing, asking.
"""

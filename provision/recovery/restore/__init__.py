"""Bringing a cluster back from a bundle.

What lives here: the stack as it will be (`workspace`), what is said before
anything starts (`report`), the steps and the record of them (`run`,
`journal`), what is put on the node (`onnode`), k3s before it runs
(`unstarted`), what is put into the cluster (`incluster`), and the comparison
at the end (`compare`). What must not: printing, asking.
"""

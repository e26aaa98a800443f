"""The charts of a sandbox: a server, at the addresses that its repository names.

A sandbox has no network. source-controller asks the node's name server, `names`,
for the host of a chart repository, and gets this machine's address, where
`listener` serves the charts that the repository asks for (`wanted`): an index
over HTTPS, or an OCI registry. `packing` makes them. Nodes and images trust
`trust.file()`, the certificate of the server's authority.
"""

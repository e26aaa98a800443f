"""OpenSSH's client configuration, read as ``ssh`` reads it: ssh_config(5).

`lines` reads files, `patterns` compares names, `reading` finds the settings of
one host, `tokens` expands ``%h`` and ``~``. The files are input only: nothing in
them is executed, and their size and their includes are bounded.
"""

from provision.host.sshconfig.lines import BrokenError
from provision.host.sshconfig.reading import Hop, Options, Setting, SystemFiles, hops, numeric, read

__all__ = ["BrokenError", "Hop", "Options", "Setting", "SystemFiles", "hops", "numeric", "read"]

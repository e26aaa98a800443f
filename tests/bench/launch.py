"""Run the command given and say what it took: seconds, processor seconds,
peak memory in MB, status.

That goes to standard error, the command's own errors to its standard output.
It imports next to nothing: it is what a measured command is forked from.
"""

import os
import sys
import time

began = time.perf_counter()
process = os.posix_spawnp(
    sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 1, 2)]
)
_, status, usage = os.wait4(process, 0)
seconds = time.perf_counter() - began
cpu = usage.ru_utime + usage.ru_stime
sys.stderr.write(f"{seconds} {cpu} {usage.ru_maxrss / 1024} {os.waitstatus_to_exitcode(status)}\n")

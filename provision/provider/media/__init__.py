"""``elysium:node:MediaMount``: a cloud remote that rclone mounts on first use.

What belongs here: the facts, the plan, the units and the scripts of a media
library on a node, and reading a mount that was set up by hand. What does not:
SSH itself (``host``).
"""

"""``elysium:flux:GitAccess``: the deploy key on GitHub and the Secret that Flux reads.

What belongs here: key pairs, the Secret's content, and the steps of a
rotation. What does not: GitHub's API itself (``github``).
"""

"""Making and keeping backups.

What belongs here: collecting the parts, the destinations, the records, the
retention, the timer, and what ``status`` says of backups. What does not: the
bundle's format (``bundle``) and using a backup (``restore``, ``drill``).
"""

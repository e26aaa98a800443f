"""Stack state in Pulumi's own format: files, journal, lock, repair.

What belongs here: reading, writing, checking, repairing and drawing state
files, and property values as they hold them. What does not: running a program
and calling providers. Nothing here loads the SDK.
"""

"""Writing files so that a crash leaves the old content or the new.

What belongs here: the atomic write of one file, and the transaction over
several. What does not: what the files mean.
"""

"""The cold-start analysis: does a repository bring an empty cluster up by itself?

What belongs here: simulating Flux on an empty cluster, and explaining what
blocks it and what would help. What does not: contact with a cluster.
"""

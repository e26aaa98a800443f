"""What a command does with a stack: preflight, preview, up, refresh, destroy, status.

What belongs here: one module a job, between the CLI, which asks and prints,
and the engine, the program and the providers, which know nothing of commands.
What does not: anything that prints or asks.
"""

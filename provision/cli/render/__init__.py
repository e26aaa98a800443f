"""How plans, progress and results look: on a terminal, in a pipe, as JSON lines."""

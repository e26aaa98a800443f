"""One module a command: options, help text, a call, and what is shown of the result."""

"""Text that elysium puts on nodes and into repositories: data, no logic.

``node`` holds units, scripts and configuration of a machine, ``flux`` and
``gitops`` what goes into Git. They are Jinja2 templates, rendered with every
undefined name an error, and read as package data.
"""

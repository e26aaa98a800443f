"""The backup bundle: its format, its parts, and whether they can be used.

What belongs here: the age file, the manifest, each part's content and its
validation (``docs/bundle.md``). What does not: where bundles are kept.
"""

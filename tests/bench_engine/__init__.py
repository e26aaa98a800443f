"""The embedded engine beside upstream's, and beside the least that the SDK costs.

One whole process for every operation: imports, key derivation and all. Run it
with ``make bench-engine``; docs/benchmarks.md says what it measures.
"""

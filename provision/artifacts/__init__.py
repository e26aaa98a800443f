"""Pinned downloads: which files a release has, their sha256, cache and mirror.

`catalog` says where each release keeps its files, `store` fetches and checks
them, `pins` remembers checksums. What does not belong here: what is done with
a file, and any other use of the network.
"""

"""Bytes of strangers: files, archives, JSON, pictures, pickles of others are read here, or checked here first.

What is promised (SECURITY.md): no code of a file runs, memory is bounded by the size of the file and the limits here,
and only regular files are read. Every reader of `data/`, `checkpoints/` and `reports/` goes through these modules.
"""

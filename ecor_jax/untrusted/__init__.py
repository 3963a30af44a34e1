"""Bytes of strangers: the only place where files, archives, pictures and pickles that others made are opened.

What is promised (SECURITY.md): no code of a file runs, memory is bounded by the size of the file and the limits here,
and only regular files are read. Every reader of `data/`, `checkpoints/` and `reports/` goes through these modules.
"""

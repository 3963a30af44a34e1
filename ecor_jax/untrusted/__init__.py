"""Bounded readers for untrusted input: files, archives, JSON, pictures and pickles that other people wrote.

Their guarantees (SECURITY.md): no code of a file is run, memory is bounded by the file's size and by limits in these
modules, and only regular files are read. `data`, `checkpoints` and `radiology.reports` read all files through them.
"""

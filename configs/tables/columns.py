"""Columns and options that several tables share."""

RATIONALES = {"RR": "rr", "RW": "rw", "WR": "wr", "WW": "ww", "accuracy": "accuracy", "top-1": "top1"}
WITHOUT_TESTS = "evaluation.causal=False evaluation.pointing=none report.saliency=False"
"""The options of configs/quickstart.py that leave out its slow tests."""

"""Benchmarks: one file per question; each verifies, then times us next to the rival in the same
run.
"""

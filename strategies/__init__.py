"""Strategies: one file each, public names only, each runs as a script."""

"""The loops that price on a CPU and on a GPU, and the making of their source."""

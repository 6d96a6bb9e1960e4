"""The loop over bars that trades on a CPU and on a GPU, in parts, and the making of its source."""

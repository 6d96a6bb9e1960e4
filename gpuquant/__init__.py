"""gpuquant."""

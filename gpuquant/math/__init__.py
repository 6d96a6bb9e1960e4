"""Elementary functions and random numbers: one source for a CPU, a GPU and Python itself."""

"""Elementary functions and randoms, of one source for a CPU, a GPU and Python itself."""

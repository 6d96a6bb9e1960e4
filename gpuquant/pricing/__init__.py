"""Contracts in, prices and Greeks with their errors out: formulas, Fourier, simulation."""

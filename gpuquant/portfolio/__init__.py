"""Positions under one name each: strategies, contracts, shares and cash, their value and risk."""

"""Back-tests: rules and weights trade a price panel through an account that pays its costs.

The folder is not called `backtest` because that name is the function: importing a subpackage would
hide it.
"""

"""Back-tests: rules and weights walk a price panel with an account that pays its costs."""

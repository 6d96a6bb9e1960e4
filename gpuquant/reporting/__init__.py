"""Reports: plots for a notebook, and offline HTML pages."""

"""What the notebooks show: figures and tables, a module a chapter."""

"""The page behind `make run`: a real job, in a process of its own, seen while it works."""

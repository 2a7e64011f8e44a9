"""One module for each line of the table."""

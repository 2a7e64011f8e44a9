"""What other services import: light, silent, and never in the way of the job."""

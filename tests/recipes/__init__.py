"""Every recipe of deploy/recipes, run as its README says."""

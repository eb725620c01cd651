"""One run of a manager, from its source to its recorder; and what is kept from run to run."""

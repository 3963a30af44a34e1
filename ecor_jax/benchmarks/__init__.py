"""Speed, measured beside others who do the same work: what `ecor-jax benchmark` runs."""

"""Sites, machines and curtailment plans."""

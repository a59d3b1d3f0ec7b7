"""HTTP requests and responses, nothing else."""

"""A run on disk, `results/<run-id>/`: manifest, samples, pictures, summary."""

"""A run on disk: `results/<run-id>/` with manifest.json, samples.jsonl, digits.json, summary.json."""

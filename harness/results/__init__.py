"""Results: results.json read, written, compared and verified."""

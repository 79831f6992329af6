"""Recording: verdicts and measurements -> results.json."""

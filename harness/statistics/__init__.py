"""Statistics: estimates with intervals, tests and sample sizes, of plain arrays."""

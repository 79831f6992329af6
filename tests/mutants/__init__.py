"""Wrong changes to harness/, one at a time, each of which the tests of its own module have to notice."""

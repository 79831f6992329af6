"""Sweeps: models x corpora x contexts x texts x seeds x protocols, each a run with its own results.json."""

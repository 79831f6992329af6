"""Verdicts: claims, the regions that they declare, and what an estimate says of them."""

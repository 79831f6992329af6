"""Faults on purpose: runs are killed, files damaged, disks filled, and nothing may be wrong without a word."""

"""The command `layerclaims`."""

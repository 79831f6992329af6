"""The post's claims as tests: one file a section, one test a sentence."""

"""Runtime: progress, threads, memory, files, paths and text."""

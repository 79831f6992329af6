"""Report: results.json -> page, PDF and Markdown."""

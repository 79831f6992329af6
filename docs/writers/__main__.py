"""Writes the generated pages, and README's table and picture where there is a run to take them from."""

import sys
from pathlib import Path

from docs.writers import DOCS, PAGES, readme, text

for page in PAGES:
    (DOCS / f"{page}.md").write_text(text(page), encoding="utf-8")
print(readme.write(Path(*sys.argv[1:2]) if sys.argv[1:] else readme.REPORT))

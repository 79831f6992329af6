"""`python -m layerclaims.cli`."""

from layerclaims.cli.main import main

raise SystemExit(main())

"""Every claim under both protocols to HTML, Markdown and PDF, from numbers that no run measured."""

import sys

import common

sys.path.insert(0, str(common.ROOT))


def render(format_: str) -> None:
    from layerclaims.report import render as report
    from layerclaims.results.checking import checked

    from tests import sample_results

    results = checked(sample_results.everything())
    _, seconds = common.timed(lambda: getattr(report, format_)(results))
    common.answer(seconds=seconds, claims=len(results.claims))


def main() -> None:
    given = common.parser(__doc__ or "").parse_args()
    if given.contender:
        render(given.contender)
        return
    html, markdown, pdf = (common.in_child(__file__, name) for name in ("html", "markdown", "pdf"))
    rows = [
        common.row("HTML", html["seconds"], "s", target="2 s"),
        common.row("Markdown", markdown["seconds"], "s", peer=html["seconds"]),
        common.row("PDF", pdf["seconds"], "s", target="10 s"),
        common.row("peak memory, PDF", pdf["peak_bytes"] / 1e6, "MB"),
    ]
    common.write("report", rows, claims=html["claims"])


if __name__ == "__main__":
    main()

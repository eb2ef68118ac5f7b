"""The chart of docs/performance.md: ours beside the others, each figure on a scale of its own."""

from html import escape

from benchmarks.results import OURS, text

WIDTH, MARGIN, LINE, BAR, GAP = 720, 16, 20, 14, 14
NAMES = 96  # where the bars begin, after the contenders' names
LONGEST = WIDTH - MARGIN - NAMES - 130  # leaves room for the number
# A ground of its own, since a picture in a page does not know whether the page is dark
STYLE = """
  .ground { fill: #ffffff; stroke: #d0d7de }
  text { fill: #1f2328; font: 13px system-ui, sans-serif }
  .figure { font-weight: 600 }
  .other { fill: #8c959f }
  .ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #3d444d }
    text { fill: #e6edf3 }
    .other { fill: #6e7681 }
    .ours { fill: #4493f8 }
  }
"""


def chart(run):
    """An SVG with the medians of all figures that have somebody beside us."""
    parts, y = [], MARGIN
    for result in run["results"]:
        if result["ratios"]:
            parts.append(_bars(result, y))
            y += LINE * (1 + len(result["contenders"])) + GAP
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    ground = f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{y - 1}" rx="6"/>'
    title = "<title>Downloads by us, by yt-dlp and by curl</title>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">{title}<style>{STYLE}</style>'
    return "\n".join([head, ground, *parts, "</svg>", ""])


def _bars(result, y):
    better = "more" if result["more_is_better"] else "less"
    lines = [f'<text class="figure" x="{MARGIN}" y="{y + 13}">{escape(result["name"])} ({better} is better)</text>']
    most = max(found["median"] for found in result["contenders"].values())
    for name, found in result["contenders"].items():
        y += LINE
        length = max(LONGEST * found["median"] / most, 1)
        kind = "ours" if name == OURS else "other"
        number = f"{text(found['median'])} {result['unit']}"
        lines += [
            f'<text x="{MARGIN}" y="{y + 12}">{escape(name)}</text>',
            f'<rect class="{kind}" x="{NAMES}" y="{y + 1}" width="{length:.1f}" height="{BAR}"/>',
            f'<text x="{NAMES + length + 6:.1f}" y="{y + 12}">{escape(number)}</text>',
        ]
    return "\n".join(lines)

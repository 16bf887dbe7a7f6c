#!/usr/bin/env python3
"""How time and memory of mining grow with the sentences: as many on either side, both directions, margins, one to one.

    python benches/growth.py run [--sizes 10000,100000,1000000] [--dim 256] [--index exact,hnsw] > growth.txt
    python benches/growth.py plot growth.txt growth.svg

Vectors are those of `benches/index.py`. Needs numpy, and `cargo bench --no-run --bench index` before it. A million rows of
256 numbers take 2 GB of disk and of memory.
"""

import argparse, math, pathlib, re, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(options):
    sys.path.insert(0, str(ROOT / "benches"))
    from index import made

    for size in map(int, options.sizes.split(",")):
        rows, queries = made(size, size, options.dim)
        with tempfile.TemporaryDirectory() as scratch:
            paths = [pathlib.Path(scratch) / name for name in ["rows.f32", "queries.f32"]]
            for path, vectors in zip(paths, [rows, queries]):
                vectors.tofile(path)
            del rows, queries, vectors
            for index in options.index.split(","):
                call = ["cargo", "bench", "--quiet", "--bench", "index", "--", *paths, options.dim, 4, "mine", index]
                subprocess.run([str(part) for part in call], cwd=ROOT, check=True)


def points(path):
    found, rows = {}, 0
    for line in open(path):
        if match := re.match(r"(\d+) rows", line):
            rows = int(match[1])
        if match := re.match(r"kopri mine (\w+): .* in ([\d.]+) s, neighbours in .*\((.*)\), peak (\d+) MiB", line):
            found.setdefault(match[3].split(",")[0], []).append((rows, float(match[2]), int(match[4])))
    return found


def plot(source, target):
    """Two log-log panels: seconds, MiB."""
    found, width, height, edge = points(source), 330, 240, 46
    sizes = sorted({rows for lines in found.values() for rows, _, _ in lines})
    colours, out = {"exact": "#0b6e4f", "graph": "#c8553d"}, []
    for panel, (column, title) in enumerate([(1, "seconds"), (2, "MiB at most")]):
        values = [line[column] for lines in found.values() for line in lines]
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        left, right = math.log10(sizes[0]), math.log10(sizes[-1])
        x = lambda rows: panel * width + edge + (math.log10(rows) - left) / max(1e-9, right - left) * (width - 2 * edge)
        y = lambda value: height - edge - (math.log10(value) - low) / max(1, high - low) * (height - 2 * edge)
        out.append(f'<text x="{panel * width + width / 2}" y="20" text-anchor="middle" font-weight="bold">{title}</text>')
        for power in range(low, high + 1):
            out.append(f'<path d="M{x(sizes[0])} {y(10**power)}H{x(sizes[-1])}" stroke="#ddd"/><text x="{x(sizes[0]) - 6}" y="{y(10**power) + 4}" text-anchor="end">{10**power:g}</text>')
        for size in sizes:
            out.append(f'<text x="{x(size)}" y="{height - edge + 18}" text-anchor="middle">{size:,}</text>')
        for number, (name, lines) in enumerate(sorted(found.items())):
            lines = sorted(lines)
            trace = "L".join(f"{x(line[0]):.1f} {y(line[column]):.1f}" for line in lines)
            out.append(f'<path d="M{trace}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
            for line in lines:
                # The highest of a size is named above its point, the others below theirs.
                above = line[column] >= max(other[column] for some in found.values() for other in some if other[0] == line[0])
                out.append(f'<circle cx="{x(line[0]):.1f}" cy="{y(line[column]):.1f}" r="3" fill="{colours[name]}"/>')
                out.append(f'<text x="{x(line[0]):.1f}" y="{y(line[column]) + (-7 if above else 15):.1f}" text-anchor="middle" fill="{colours[name]}">{line[column]:,.4g}</text>')
            out.append(f'<text x="{x(sizes[0]) + 8}" y="{edge + 14 * number}" fill="{colours[name]}">{name}</text>')
    out.append(f'<text x="{width}" y="{height - 6}" text-anchor="middle">sentences on either side</text>')
    body = "\n".join(out)
    pathlib.Path(target).write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * width} {height}" font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n')


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = arguments.add_subparsers(dest="what", required=True)
    running = what.add_parser("run")
    running.add_argument("--sizes", default="10000,100000,1000000")
    running.add_argument("--dim", type=int, default=256)
    running.add_argument("--index", default="exact,hnsw")
    plotting = what.add_parser("plot")
    plotting.add_argument("source")
    plotting.add_argument("target")
    options = arguments.parse_args()
    run(options) if options.what == "run" else plot(options.source, options.target)


main()

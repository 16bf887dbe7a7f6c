#!/usr/bin/env python3
"""Sentence alignment, measured: `kopri align` beside vecalign, bertalign and a length aligner, on equal vectors.

    python benches/alignment.py berg  TEXT+BERG_FOLDER [--vectors FOLDER]   strict and lax F1 on real translations
    python benches/alignment.py made  SOURCE.txt TARGET.txt                 known merges, splits, deletions and swaps
    python benches/alignment.py speed SOURCE.txt TARGET.txt                 time and memory of 1,000 lines and more

Needs numpy, and the release binary (--kopri). Peers take part where Python finds them: vecalign's algorithm as
`pip install sentalign`, bertalign as a checkout (--bertalign FOLDER; its corelib.py wants numba, faiss-cpu and torch).
`berg` wants dev.de, dev.fr and dev.defr. Without --vectors it makes lexical vectors of all runs (hashed character
n-grams), also with noise on them and projected to 256 numbers: encoders of several qualities; with it, source.npy and
target.npy of the folder, [runs, lines, numbers], row i of layer r being the r + 1 lines that end with line i.
"""

import argparse, ast, collections, importlib, math, pathlib, random, re, resource, subprocess, sys, tempfile, time, zlib

import numpy as np

RUNS = 8


def lines_of(path):
    return [line.strip().lstrip("\u2063") for line in open(path, encoding="utf-8")]


def beads_of(path):
    rows = [[field for field in line.strip().split(":") if field] for line in open(path, encoding="utf-8") if line.strip()]
    return [(ast.literal_eval(row[0]), ast.literal_eval(row[1])) for row in rows]


# Scores: Thompson & Koehn 2019. Precision counts insertions and deletions, recall does not.
def scores(found, gold):
    def shares(beads, others):
        same, partners = {(tuple(a), tuple(b)) for a, b in others}, collections.defaultdict(set)
        for a, b in others:
            for line in a:
                partners[line].update(b)
        strict = sum((tuple(a), tuple(b)) in same for a, b in beads)
        lax = sum((tuple(a), tuple(b)) in same or any(partners[i] & set(b) for i in a if i in partners) for a, b in beads)
        return strict / max(1, len(beads)), lax / max(1, len(beads))

    both = lambda beads: [(a, b) for a, b in beads if a and b]
    precision, recall = shares(found, gold), shares(both(gold), both(found))
    return [200 * p * r / max(1e-9, p + r) for p, r in zip(precision, recall)]


# Vectors of all runs.
def grams(text):
    words = re.findall(r"\w+", text.lower()) or [text]
    return [word[i : i + n] for word in map("<{}>".format, words) for n in (3, 4, 5) for i in range(max(1, len(word) - n + 1))]


def lexical(texts, dim=2048):
    df, n = collections.Counter(), sum(map(len, texts))
    for lines in texts:
        for line in lines:
            df.update(set(grams(line)))

    def vector(text):
        row = np.zeros(dim, np.float32)
        for gram, count in collections.Counter(grams(text)).items():
            place = zlib.crc32(gram.encode())
            row[place % dim] += (1 if place >> 31 else -1) * (1 + math.log(count)) * (1 + math.log((1 + n) / (1 + df[gram])))
        return row / max(1e-9, np.linalg.norm(row))

    noise = np.random.default_rng(0)
    sides = []
    for lines in texts:
        side = noise.normal(size=(RUNS, len(lines), dim)).astype(np.float32) / math.sqrt(dim)
        for r in range(RUNS):
            for i in range(r, len(lines)):
                side[r, i] = vector(" ".join(lines[i - r : i + 1]))
        sides.append(side)
    return sides


def unit(x):
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


# Aligners. Each takes both texts and both sides' vectors.
def kopri(texts, vectors, options, more=()):
    with tempfile.TemporaryDirectory() as folder:
        folder, command = pathlib.Path(folder), [options.kopri, "align", "--quiet", *more]
        for name, text, vector in zip(["source", "target"], texts, vectors or [None] * 2):
            (folder / name).write_text("\n".join(text) + "\n", encoding="utf-8")
            command += [f"--{name}", folder / name]
            if vector is not None:
                np.save(folder / f"{name}.npy", vector)
                command += [f"--{name}-vectors", folder / f"{name}.npy"]
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True)
        (folder / "beads").write_bytes(done.stdout)
        return beads_of(folder / "beads")


def vecalign(vectors, size):
    dp = importlib.import_module("sentalign.dp_utils")
    np.random.seed(42)
    one, other = (np.ascontiguousarray(v[: size - 1], dtype=np.float32).copy() for v in vectors)
    stack = dp.vecalign(one, other, dp.make_alignment_types(size), 0.2, max(3, size // 2 + 5), 300, 20000, 100)
    return [(list(a), list(b)) for a, b in stack[0]["final_alignments"]]


def bertalign(texts, vectors, core, size):
    n, m = (len(text) for text in texts)
    one, other = (np.ascontiguousarray(v[: size - 1], dtype=np.float32) for v in vectors)
    lengths = []
    for text in texts:
        bytes_of = np.array([len(line.encode()) for line in text])
        lengths.append(np.array([[bytes_of[max(0, i - r) : i + 1].sum() for i in range(len(text))] for r in range(size - 1)]))
    near, which = core.find_top_k_sents(one[0], other[0], k=3)
    types = core.get_alignment_types(2)
    width, path = core.find_first_search_path(n, m)
    pointers = core.first_pass_align(n, m, width, path, types, near, which)
    first = core.first_back_track(n, m, pointers, path, types)
    types = core.get_alignment_types(size)
    width, path = core.find_second_search_path(first, 5, n, m)
    ratio = lengths[0][0].sum() / lengths[1][0].sum()
    pointers = core.second_pass_align(one, other, *lengths, width, path, types, ratio, -0.1, margin=True, len_penalty=True)
    return core.second_back_track(n, m, pointers, path, types)


def gale_church(texts):
    """Lengths alone, with the shapes and priors of Gale & Church 1993."""
    priors = {(1, 1): 0.89, (1, 0): 0.005, (0, 1): 0.005, (2, 1): 0.0445, (1, 2): 0.0445, (2, 2): 0.011}
    sums = [np.cumsum([0] + [len(line) for line in text]) for text in texts]
    c, (n, m) = sums[1][-1] / sums[0][-1], map(len, texts)
    best, back = np.full((n + 1, m + 1), np.inf), {}
    best[0, 0] = 0
    for i in range(n + 1):
        for j in range(m + 1):
            for (p, q), prior in priors.items():
                if i >= p and j >= q and best[i - p, j - q] < np.inf:
                    a, b = sums[0][i] - sums[0][i - p], sums[1][j] - sums[1][j - q]
                    delta = abs(b - a * c) / math.sqrt(6.8 * max(1, (a + b / c) / 2))
                    cost = best[i - p, j - q] - math.log(prior) - math.log(max(1e-300, math.erfc(delta / math.sqrt(2))))
                    if cost < best[i, j]:
                        best[i, j], back[i, j] = cost, (p, q)
    beads, i, j = [], n, m
    while i or j:
        p, q = back[i, j]
        beads.append((list(range(i - p, i)), list(range(j - q, j))))
        i, j = i - p, j - q
    return beads[::-1]


def peers(options):
    found = {}
    try:
        importlib.import_module("sentalign.dp_utils")
        found["vecalign 5"] = lambda texts, vectors: vecalign(vectors, 5)
        found["vecalign 8"] = lambda texts, vectors: vecalign(vectors, 8)
    except ImportError:
        print("vecalign is not here: pip install sentalign", file=sys.stderr)
    if options.bertalign:
        sys.path.insert(0, str(options.bertalign / "bertalign"))
        core = importlib.import_module("corelib")
        found["bertalign 5"] = lambda texts, vectors: bertalign(texts, vectors, core, 5)
        found["bertalign 8"] = lambda texts, vectors: bertalign(texts, vectors, core, 8)
    return found


def table(rows, aligners):
    print(f"{'strict / lax F1':<26}" + "".join(f"{name:>16}" for name in aligners))
    for name, row in rows:
        print(f"{name:<26}" + "".join(f"{'–' if cell is None else f'{cell[0]:.1f} / {cell[1]:.1f}':>16}" for cell in row), flush=True)


def berg(options):
    texts, gold = [lines_of(options.folder / f"dev.{end}") for end in ("de", "fr")], beads_of(options.folder / "dev.defr")
    if options.vectors:
        sets = {options.vectors.name: [np.load(options.vectors / f"{side}.npy") for side in ("source", "target")]}
    else:
        plain, noise = lexical(texts), np.random.default_rng(1)
        turn = noise.normal(size=(2048, 256)).astype(np.float32)
        sets = {"lexical": plain, "lexical, to 256": [unit(side @ turn) for side in plain]}
        sets["lexical, noise"] = [unit(side + 0.7 / math.sqrt(2048) * noise.normal(size=side.shape)) for side in plain]
    aligners = {"kopri": lambda texts, vectors: kopri(texts, vectors, options)}
    aligners["kopri, sums"] = lambda texts, vectors: kopri(texts, [side[0] for side in vectors], options)
    aligners |= peers(options)
    rows = [(name, [scores(align(texts, vectors), gold) for align in aligners.values()]) for name, vectors in sets.items()]
    rows.append(("kopri's own lexical", [scores(kopri(texts, None, options), gold)] + [None] * (len(aligners) - 1)))
    rows.append(("Gale–Church", [scores(gale_church(texts), gold)] + [None] * (len(aligners) - 1)))
    table(rows, aligners)


def halves(line):
    """A line cut near its middle, at punctuation if it has some."""
    words = line.split()
    if len(words) < 6:
        return None
    places = [i + 1 for i in range(2, len(words) - 2) if words[i][-1] in ",;:—–"] or [len(words) // 2]
    at = min(places, key=lambda place: abs(place - len(words) / 2))
    return [" ".join(words[:at]), " ".join(words[at:])]


def disturbed(source, target, level, seed):
    """Both texts with that share of lines merged, split, left out or swapped with the next, and the beads of it."""
    choose, texts, gold, i = random.Random(seed), ([], []), [], 0
    while i < len(source):
        kind = choose.choice(["merge", "split", "leave out", "swap"]) if choose.random() < level else ""
        side, one, other = choose.randrange(2), [source[i]], [target[i]]
        if kind in ("merge", "swap") and i + 1 < len(source):
            one, other = source[i : i + 2], target[i : i + 2]
            if kind == "swap":
                other = other[::-1]
            elif side:
                other = [" ".join(other)]
            else:
                one = [" ".join(one)]
            i += 1
        elif kind == "split":
            if side:
                other = halves(other[0]) or other
            else:
                one = halves(one[0]) or one
        elif kind == "leave out":
            one, other = ([], other) if side else (one, [])
        i += 1
        gold.append(tuple(list(range(len(text), len(text) + len(part))) for text, part in zip(texts, (one, other))))
        texts[0].extend(one)
        texts[1].extend(other)
    return texts, gold


def made(options):
    source, target = lines_of(options.source), lines_of(options.target)
    source, target = zip(*[pair for pair in zip(source, target) if all(pair)][: options.lines])
    aligners, rows = ["kopri lexical", "Gale–Church"], []
    for level in (0, 0.1, 0.2, 0.4, 0.6):
        texts, gold = disturbed(source, target, level, int(level * 100))
        rows.append((f"{level:.0%} of lines disturbed", [scores(kopri(texts, None, options), gold), scores(gale_church(texts), gold)]))
    table(rows, aligners)


def speed(options):
    source, target = lines_of(options.source), lines_of(options.target)
    pairs = [pair for pair in zip(source, target) if all(pair)]
    for count in (1_000, 5_000, 10_000, 50_000):
        if count > len(pairs):
            break
        # A tenth of the lines disturbed; a twentieth of each side missing in one piece.
        (one, other), gold = disturbed(*zip(*pairs[:count]), 0.1, 1)
        a, b = range(count // 5, count // 5 + count // 20), range(count * 3 // 5, count * 3 // 5 + count // 20)
        keep = [[i for i in range(len(text)) if i not in hole] for text, hole in ((one, a), (other, b))]
        place = [{old: new for new, old in enumerate(side)} for side in keep]
        gold = [tuple([at[i] for i in part if i in at] for part, at in zip(bead, place)) for bead in gold]
        gold = [bead for bead in gold if any(bead)]
        texts = [[text[i] for i in side] for text, side in zip((one, other), keep)]
        with tempfile.TemporaryDirectory() as folder:
            for name, text in zip(("a", "b"), texts):
                (pathlib.Path(folder) / name).write_text("\n".join(text) + "\n", encoding="utf-8")
            began, command = time.perf_counter(), [options.kopri, "align", "--source", f"{folder}/a", "--target", f"{folder}/b"]
            code = "import resource, subprocess, sys; d = subprocess.run(sys.argv[1:], check=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
            done = subprocess.run([sys.executable, "-c", code, *map(str, command), "--format", "beads", "--out", f"{folder}/beads"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True, text=True)
            seconds = time.perf_counter() - began
            strict, lax = scores(beads_of(f"{folder}/beads"), gold)
            said = done.stderr.strip().rsplit(";", 1)[-1]
            print(f"{len(texts[0]):>6} × {len(texts[1]):<6} {seconds:7.1f} s  {int(done.stdout) / 1024:6.0f} MiB  strict {strict:.1f}  lax {lax:.1f}  ({said.strip()})", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kopri", default=pathlib.Path(__file__).parent.parent / "target/release/kopri")
    arguments.add_argument("--bertalign", type=pathlib.Path)
    commands = arguments.add_subparsers(dest="command", required=True)
    one = commands.add_parser("berg")
    one.add_argument("folder", type=pathlib.Path)
    one.add_argument("--vectors", type=pathlib.Path)
    for name in ("made", "speed"):
        one = commands.add_parser(name)
        one.add_argument("source", type=pathlib.Path)
        one.add_argument("target", type=pathlib.Path)
        one.add_argument("--lines", type=int, default=400)
    options = arguments.parse_args()
    {"berg": berg, "made": made, "speed": speed}[options.command](options)


main()

"""Writes margins.json: what LASER and sentence-transformers mine from small random vectors.

    python tests/golden/make_margins.py LASER/source/mine_bitexts.py \\
        sentence-transformers/examples/sentence_transformer/applications/parallel-sentence-mining/bitext_mining.py

Runs both programs as they are. Made with facebookresearch/LASER at 108ab33c471f9d1d217d4beb7640d00597c34a4b (later ones
stop with a NameError in --retrieval fwd and bwd) and UKPLab/sentence-transformers at
a76d441bd1c474b416020ee186b3a84c380fb07d (bitext_mining_utils.py, which must lie beside it, at
89ed923436590e780f181be2370f144a2800d1ac), numpy 2.4.6, faiss 1.15.1. LASER's own encoder is not needed: its vectors are
read from files. Of bitext_mining.py the part runs that begins with the search; what is before it loads LaBSE.
"""

import gzip
import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).parent
K, DIM, SOURCES, TARGETS, PAIRS = 4, 8, 12, 15, 8
MARGINS = ["ratio", "distance", "absolute"]
RETRIEVALS = ["fwd", "bwd", "intersect", "max"]

# What mine_bitexts.py imports of the rest of LASER; mining uses the last alone.
EMBED = """
import numpy as np
SentenceEncoder = EncodeLoad = EncodeFile = None
def EmbedLoad(path, dim, verbose=False):
    return np.fromfile(path, dtype=np.float32).reshape(-1, dim)
"""


def vectors():
    """Some rows of the two sides are noisy copies of each other, in another order; a few are near to everything."""
    draw = np.random.default_rng(20)
    source, target = draw.normal(size=(SOURCES, DIM)), draw.normal(size=(TARGETS, DIM))
    places = draw.permutation(TARGETS)[:PAIRS]
    target[places] = source[:PAIRS] + 0.8 * draw.normal(size=(PAIRS, DIM))
    source[3:6] += 1.5
    target += 0.4
    return [np.round(side, 4).astype(np.float32) for side in (source, target)]


def laser(program, sides, margin, retrieval, k=K):
    """The pairs that it writes, in its order: score, source row, target row."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "source").mkdir()
        (folder / "source/embed.py").write_text(EMBED)
        (folder / "source/text_processing.py").write_text("Token = BPEfastApply = None\n")
        for name, side in zip(("src", "trg"), sides):
            side.tofile(folder / f"{name}.emb")
            (folder / name).write_text("".join(f"{row}\n" for row in range(len(side))))
        command = [sys.executable, "-W", "ignore", program.resolve(), "src", "trg", "--src-lang", "a", "--trg-lang", "b"]
        command += ["--output", "out", "--mode", "mine", "-k", str(k), "--margin", margin, "--retrieval", retrieval]
        # Its own default, 0, leaves out pairs of `max` alone.
        command += ["--threshold", "-9", "--dim", str(DIM), "--src-embeddings", "src.emb", "--trg-embeddings", "trg.emb"]
        subprocess.run(command, cwd=folder, env=os.environ | {"LASER": str(folder)}, check=True, stdout=subprocess.DEVNULL)
        rows = [line.split("\t") for line in (folder / "out").read_text().splitlines()]
        return [[round(float(score), 7), int(one), int(other)] for score, one, other in rows]


def sentence_transformers(program, sides):
    """What its names hold when it is done, and the pairs that it writes."""
    text = program.read_text(encoding="utf-8")
    part = text[text.index("# Perform kNN in both directions") :]
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
    sys.path.insert(0, str(program.parent))
    utils = importlib.import_module("bitext_mining_utils")
    names = {"np": np, "gzip": gzip, "x": x, "y": y, "kNN": utils.kNN, "score_candidates": utils.score_candidates}
    names |= {"knn_neighbors": K, "use_ann_search": False, "ann_num_clusters": 0, "ann_num_cluster_probe": 0}
    names |= {"min_threshold": 1}
    names |= {"source_sentences": [str(row) for row in range(len(x))], "target_sentences": [str(row) for row in range(len(y))]}
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)
        exec(compile(part, program.name, "exec"), names)
        os.chdir(before)
        with gzip.open(pathlib.Path(folder) / "parallel-sentences-out.tsv.gz", "rt") as file:
            rows = [line.split("\t") for line in file]
    return names, utils, [[float(score), int(one), int(other)] for score, one, other in rows]


def main():
    mine_bitexts, bitext_mining = map(pathlib.Path, sys.argv[1:])
    sides = vectors()
    names, utils, mined = sentence_transformers(bitext_mining, sides)
    rounded = lambda table: np.round(np.asarray(table, dtype=np.float64), 7).tolist()
    functions = {"ratio": lambda a, b: a / b, "distance": lambda a, b: a - b, "absolute": lambda a, b: a}
    scores = {}
    for margin in MARGINS:
        means = names["x2y_mean"], names["y2x_mean"]
        forward = utils.score_candidates(names["x"], names["y"], names["x2y_ind"], *means, functions[margin])
        backward = utils.score_candidates(names["y"], names["x"], names["y2x_ind"], *means[::-1], functions[margin])
        scores[margin] = [rounded(forward), rounded(backward)]
    golden = {
        "k": K,
        "source": rounded(sides[0]),
        "target": rounded(sides[1]),
        "forward": names["x2y_ind"].tolist(),
        "backward": names["y2x_ind"].tolist(),
        "scores": scores,
        "laser": {m: {r: laser(mine_bitexts, sides, m, r) for r in RETRIEVALS} for m in MARGINS},
        "sentence_transformers": mined,
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in golden.items()]
    (HERE / "margins.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()

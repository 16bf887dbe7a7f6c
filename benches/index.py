"""Exact search and HNSW of kopri, FAISS, hnswlib, usearch and hnsw_rs on the same vectors, in one run.

    python benches/index.py [--rows 100000] [--dim 768] [--queries 10000] [--k 4] [--only kopri,hnsw_rs,faiss-flat,…]

Rows are unit vectors of 32 hidden dimensions and noise; a query is a row with more noise, as a translation is. Recall
is against FAISS Flat. Needs faiss-cpu, hnswlib, usearch and numpy, and `cargo bench --no-run --bench index` before it.
"""

import argparse
import multiprocessing
import os
import pathlib
import resource
import subprocess
import tempfile
import time

import numpy

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINKS, EF_BUILD = 16, 200


def made(rows, queries, dim):
    random = numpy.random.default_rng(1)
    base = random.standard_normal((32, dim), dtype=numpy.float32)
    unit = lambda x: x / numpy.linalg.norm(x, axis=1, keepdims=True)
    vectors = numpy.empty((rows, dim), dtype=numpy.float32)
    for start in range(0, rows, 50_000):
        count = min(50_000, rows - start)
        hidden = random.standard_normal((count, 32), dtype=numpy.float32) @ base / 32**0.5
        vectors[start : start + count] = unit(hidden + 0.5 * random.standard_normal((count, dim), dtype=numpy.float32))
    picked = random.choice(rows, queries, replace=False)
    noise = random.standard_normal((queries, dim), dtype=numpy.float32) / dim**0.5
    return vectors, unit(vectors[picked] + 0.5 * noise)


def recall(found, exact):
    return numpy.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, exact)])


def report(name, build, search, found, exact):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    at_one = (found[:, 0] == exact[:, 0]).mean()
    print(f"{name:24} build {build:7.2f} s  search {search:6.2f} s  recall@1 {at_one:.4f}  recall@{exact.shape[1]} {recall(found, exact):.4f}  peak {peak:.0f} MiB", flush=True)


def timed(work):
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


def faiss_flat(rows, queries, k, exact_path):
    import faiss

    faiss.omp_set_num_threads(os.cpu_count())
    index = faiss.IndexFlatIP(rows.shape[1])
    _, build = timed(lambda: index.add(rows))
    (_, found), search = timed(lambda: index.search(queries, k))
    numpy.save(exact_path, found)
    report("FAISS Flat", build, search, found, found)


def faiss_hnsw(rows, queries, k, exact_path, efs):
    import faiss

    faiss.omp_set_num_threads(os.cpu_count())
    index = faiss.IndexHNSWFlat(rows.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = EF_BUILD
    _, build = timed(lambda: index.add(rows))
    for ef in efs:
        index.hnsw.efSearch = ef
        (_, found), search = timed(lambda: index.search(queries, k))
        report(f"FAISS HNSW, ef {ef}", build, search, found, numpy.load(exact_path))


def hnswlib_(rows, queries, k, exact_path, efs):
    import hnswlib

    index = hnswlib.Index(space="ip", dim=rows.shape[1])
    index.init_index(max_elements=len(rows), ef_construction=EF_BUILD, M=LINKS)
    index.set_num_threads(os.cpu_count())
    _, build = timed(lambda: index.add_items(rows))
    for ef in efs:
        index.set_ef(ef)
        (found, _), search = timed(lambda: index.knn_query(queries, k))
        report(f"hnswlib, ef {ef}", build, search, found.astype(numpy.int64), numpy.load(exact_path))


def usearch_(rows, queries, k, exact_path, efs):
    from usearch.index import Index

    for dtype in ["f32", "i8"]:
        index = Index(ndim=rows.shape[1], metric="cos", dtype=dtype, connectivity=LINKS, expansion_add=EF_BUILD)
        _, build = timed(lambda: index.add(numpy.arange(len(rows)), rows, threads=os.cpu_count()))
        for ef in efs:
            index.expansion_search = ef
            found, search = timed(lambda: index.search(queries, k, threads=os.cpu_count()).keys.astype(numpy.int64))
            report(f"usearch {dtype}, ef {ef}", build, search, found, numpy.load(exact_path))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--dim", type=int, default=768)
    arguments.add_argument("--queries", type=int, default=10_000)
    arguments.add_argument("--k", type=int, default=4)
    arguments.add_argument("--ef", default="32,64,128")
    arguments.add_argument("--only", default="kopri,hnsw_rs,faiss-flat,faiss-hnsw,hnswlib,usearch")
    options = arguments.parse_args()
    efs, only = [int(ef) for ef in options.ef.split(",")], options.only.split(",")
    rows, queries = made(options.rows, options.queries, options.dim)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        rows.tofile(scratch / "rows.f32")
        queries.tofile(scratch / "queries.f32")
        exact = scratch / "exact.npy"
        libraries = [("faiss-flat", faiss_flat, ()), ("faiss-hnsw", faiss_hnsw, (efs,)), ("hnswlib", hnswlib_, (efs,)), ("usearch", usearch_, (efs,))]
        # Each in a process of its own, for its memory.
        for name, work, more in libraries:
            if name in only:
                process = multiprocessing.Process(target=work, args=(rows, queries, options.k, exact, *more))
                process.start()
                process.join()
        for name, which in [("kopri", "hnsw"), ("hnsw_rs", "hnsw_rs")]:
            if name in only:
                call = ["cargo", "bench", "--quiet", "--bench", "index", "--", scratch / "rows.f32", scratch / "queries.f32", options.dim, options.k, which, *efs]
                subprocess.run([str(part) for part in call], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Measures faiss and scikit-learn on the searches of `cargo run --release -p polyarray-bench --example neighbours`.

    python benches/peers/neighbours.py --threads 2

Requires NumPy and faiss; scikit-learn is measured if it can be imported, on the smaller search. Prints the least
milliseconds of several runs of each.
"""

import argparse
import os
import time

PARSER = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
PARSER.add_argument("--threads", type=int, default=os.cpu_count())
THREADS = PARSER.parse_args().threads
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(THREADS)

import faiss
import numpy as np

try:
    from sklearn.neighbors import NearestNeighbors
except ImportError:
    NearestNeighbors = None

faiss.omp_set_num_threads(THREADS)


def least(run, times=5):
    run()
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


random = np.random.default_rng(1)
for n, m, d in [(2000, 20_000, 128), (100, 1_000_000, 96)]:
    x, y = (random.standard_normal((rows, d), dtype=np.float32) for rows in (n, m))
    index = faiss.IndexFlatL2(d)
    index.add(y)
    print(f"10 nearest, {n} x {m} x {d} f32, faiss IndexFlatL2: {least(lambda: index.search(x, 10)):.1f} ms")
    if NearestNeighbors and m < 100_000:
        found = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(y)
        print(f"10 nearest, {n} x {m} x {d} f32, scikit-learn: {least(lambda: found.kneighbors(x)):.1f} ms")

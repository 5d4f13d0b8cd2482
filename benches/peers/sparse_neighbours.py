"""The search of examples/recommender.rs in SciPy: python sparse_neighbours.py [listeners] [songs] [listeners searched].

Multiplies blocks of normalised rows by all of them, and selects the nearest of each row of the sparse product. Prints
the time of the search, that for all listeners if only the first ones are searched, and the peak memory of the process.
"""

import resource
import sys
import time

import numpy as np
import scipy.sparse

GENRES, K, BLOCK = 20, 20, 1000


def plays(listeners, songs):
    """Counts with the distribution of the example, of other random numbers."""
    random, each = np.random.default_rng(7), max(songs // 100, 2)
    song = random.integers(0, songs, (listeners, each))
    listener = np.repeat(np.arange(listeners), each).reshape(listeners, each)
    preferred = np.minimum(song // GENRES * GENRES + listener % GENRES, songs - 1)
    song[:, 1::2] = preferred[:, 1::2]
    counts = random.integers(1, 6, (listeners, each)).astype(np.float32)
    triplets = (counts.ravel(), (listener.ravel(), song.ravel()))
    return scipy.sparse.coo_array(triplets, shape=(listeners, songs)).tocsr()


def nearest(x, rows, k):
    """The k most similar rows of each of the first `rows` rows, and their cosine distances."""
    unit = scipy.sparse.diags_array(1 / np.sqrt(x.multiply(x).sum(axis=1)), dtype=x.dtype) @ x
    unit = unit.tocsr()
    others = unit.T.tocsr()
    indices, distances = np.empty((rows, k), np.int64), np.empty((rows, k), x.dtype)
    for start in range(0, rows, BLOCK):
        product = unit[start : min(start + BLOCK, rows)] @ others
        for i in range(product.shape[0]):
            part = slice(product.indptr[i], product.indptr[i + 1])
            row = product.data[part]
            best = np.argpartition(row, -k)[-k:]
            best = best[np.argsort(-row[best])]
            indices[start + i], distances[start + i] = product.indices[part][best], 1 - row[best]
    return indices, distances


def main():
    sizes = [int(size) for size in sys.argv[1:]]
    listeners, songs = (sizes + [4000, 2000][len(sizes) :])[:2]
    rows = min(sizes[2], listeners) if len(sizes) > 2 else listeners
    x = plays(listeners, songs)
    start = time.perf_counter()
    indices, _ = nearest(x, rows, K + 1)
    seconds = time.perf_counter() - start
    same = (indices[:, 1:] % GENRES == np.arange(rows)[:, None] % GENRES).mean()
    every = seconds / rows * listeners
    print(f"{x.nnz} numbers; {rows} of {listeners} listeners in {seconds:.2f} s ({every:.1f} s for all)")
    print(f"{100 * same:.1f} % of the neighbours prefer the same genre")
    print(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB of memory")


if __name__ == "__main__":
    main()

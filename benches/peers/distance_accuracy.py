"""Errors of the distances of SciPy, scikit-learn and NumPy for a cluster of points far from the origin.

Prints the largest error of each, relative to the distance. The test `clusters_far_from_the_origin` in
tests/suite/distances.rs prints those of polyarray for the same points.
"""

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import cosine_distances

POINTS, CENTRE, SPREAD = 30, 1e4, 1e-3


def cluster(d):
    """The points of the test: numbers of a linear congruential generator, in f32 arithmetic."""
    state, numbers = 1, np.empty(POINTS * d, np.float32)
    for i in range(len(numbers)):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        numbers[i] = np.float32(CENTRE) + np.float32(SPREAD) * (np.float32(state >> 8) / np.float32(2**24))
    return numbers.reshape(POINTS, d)


def trick(x):
    """The textbook identity |x|^2 + |y|^2 - 2 x.y."""
    norms = (x * x).sum(1)
    return np.sqrt(np.maximum(norms[:, None] + norms[None, :] - 2 * x @ x.T, 0))


def worst(got, want, absolute=False):
    error = np.abs(got.astype(np.longdouble) - want)
    return float(np.max(error if absolute else error[want > 0] / want[want > 0]))


def main():
    print("| metric | d | SciPy | scikit-learn | textbook identity |")
    print("|---|---|---|---|---|")
    for d in (3, 16, 50, 200):
        x = cluster(d)
        exact = x.astype(np.longdouble)
        apart = exact[:, None] - exact[None, :]
        euclidean = np.sqrt((apart**2).sum(2))
        row = [worst(f(x), euclidean) for f in (lambda x: cdist(x, x), pairwise_distances, trick)]
        print(f"| euclidean | {d} | " + " | ".join(f"{e:.1e}" for e in row) + " |")
        unit = exact / np.sqrt((exact**2).sum(1))[:, None]
        # Half the square of the difference of unit vectors, which does not cancel.
        cosine = ((unit[:, None] - unit[None, :]) ** 2).sum(2) / 2
        row = [worst(f(x), cosine, True) for f in (lambda x: cdist(x, x, "cosine"), cosine_distances)]
        print(f"| cosine (absolute) | {d} | " + " | ".join(f"{e:.1e}" for e in row) + " | |")
        manhattan = np.abs(apart).sum(2)
        row = [worst(f, manhattan) for f in (cdist(x, x, "cityblock"), pairwise_distances(x, metric="manhattan"))]
        print(f"| cityblock | {d} | " + " | ".join(f"{e:.1e}" for e in row) + " | |")


if __name__ == "__main__":
    main()

#!/usr/bin/env bash
# Measures everything that docs/benchmarks.md shows of one machine, and writes the JSON files of this folder:
#
#     benches/results/measure.sh 2026-11-30-intel-xeon-amx-2-cores [PART ..]
#
# The first argument begins the names of the files. Without parts, everything is measured: about ten minutes. The
# machine should be idle. Three variables can be set: BENCH, the program (default: built by cargo, with the feature
# peers); PYTHON, an interpreter with NumPy, and if wanted numexpr (default: python3); MKL, the path of libmkl_rt, which
# is measured too if it is given. `benches/results/report.py` writes the tables.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# These variables make some builds of OpenBLAS, such as NumPy's, run kernels of other CPUs.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

prefix="${1:?the beginning of the names of the files, such as 2026-11-30-intel-xeon-amx-2-cores}"
shift
parts=("$@")
[[ ${#parts[@]} -gt 0 ]] ||
    parts=(small functions-1-thread 10-million matrices-5000 sorts products-1-thread products
        products-skinny products-batched distances)
read -r -a bench <<<"${BENCH:-cargo run --release -p polyarray-bench --features peers --}"
peer=()
[[ -z "${MKL:-}" ]] || peer=(--blas-peer "$MKL")

# Both programs with the same cases and sizes: the devices to compare, then their options.
both() {
    local part="$1" devices="$2"
    shift 2
    "${PYTHON:-python3}" benches/peers/numpy_peers.py --json "benches/results/$prefix-$part-numpy.json" "$@"
    "${bench[@]}" compare --full --devices "$devices" --json "benches/results/$prefix-$part.json" "$@"
}
products() {
    local part="$1"
    shift
    "${bench[@]}" compare --full --devices simd,blas,faer,gemm,matrixmultiply ${peer[@]+"${peer[@]}"} \
        --json "benches/results/$prefix-$part.json" "$@"
}

for part in "${parts[@]}"; do
    case "$part" in
    small) both small simd,auto,ndarray,faer --ops small ;;
    functions-1-thread)
        both "$part" simd --threads 1 --sizes 100000 --ops exp,log,sin,cos,tanh,pow
        ;;
    10-million)
        both "$part" simd --sizes 10000000 --ops add,mul,sqrt,poly,exp_plus_sin,where,cumsum,sum,min,argmax
        ;;
    matrices-5000) both "$part" simd --sizes 5000 --ops sum_axis0,sum_axis1,std,transpose_copy ;;
    sorts) both "$part" simd --sizes 1000000 --ops sort,argsort,median ;;
    products-1-thread)
        products "$part" --threads 1 --ops matmul --sizes 4,8,12,16,24,32,48,64,128,256,512,1024,2048
        ;;
    products)
        "${PYTHON:-python3}" benches/peers/numpy_peers.py --json "benches/results/$prefix-$part-numpy.json" \
            --ops matmul --sizes 256,512,1024,2048,4096
        products "$part" --ops matmul --sizes 256,512,1024,2048,4096
        ;;
    products-skinny)
        products "$part" --ops matmul,matmul_transposed \
            --sizes 4096x32x4096,32x4096x4096,4096x4096x1,1x4096x4096,1000x500x1000
        ;;
    products-batched)
        products "$part" --ops matmul_batched --sizes 1000x16x16x16,64x256x256x256
        ;;
    distances) both "$part" simd,blas --sizes 2000x2000x50 --ops cdist_euclidean,cdist_cityblock,cdist_cosine ;;
    *)
        echo "unknown part $part; the parts are those of the file names in this folder" >&2
        exit 2
        ;;
    esac
done

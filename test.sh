#!/usr/bin/env bash
# Runs the checks and tests of every crate with all features, and stops at the first step that fails. With --long, runs
# everything that CI runs: also each feature alone, other sets of features, every tier of simd, examples, benches, the
# tests in an optimised build with overflow checks, and a random workload under AddressSanitizer.
#
#     ./test.sh [--long]
#
# Installs the packages that the tests need if it has the permission to, and reports those that it cannot install.
#
# POLYARRAY_REQUIRE   With blas,gpu, tests that would be skipped because one of these devices is absent fail instead.
#                     With asan, --long fails instead of skipping the workload if there is no nightly compiler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

step() { printf '\n=== %s\n' "$*"; }
say() { printf '%s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

LONG=
for argument in "$@"; do
    case "$argument" in
    --long) LONG=1 ;;
    *)
        say "Unknown argument: $argument. Usage: ./test.sh [--long]"
        exit 2
        ;;
    esac
done

REQUIRED=",${POLYARRAY_REQUIRE:-},"
required() { [[ "$REQUIRED" == *",$1,"* ]]; }
# The tests interpret every name as a device, so the name of a step is removed.
devices="${REQUIRED//,asan,/,}"
devices="${devices#,}"
export POLYARRAY_REQUIRE="${devices%,}"

# ------------------------------------------------------------------------------------ prerequisites of the tests

# OpenBLAS for loading and for linking, a Vulkan loader, and a driver that runs shaders on the CPU.
PACKAGES=(libopenblas0-pthread libopenblas-dev libvulkan1 mesa-vulkan-drivers)

installed() { [[ "$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null)" == "install ok installed" ]]; }

install_packages() {
    if ! has apt-get; then
        say "This system has no apt-get: install $* (or the equivalent packages) manually."
        return
    fi
    local missing=() as_root=() package
    for package in "$@"; do
        installed "$package" || missing+=("$package")
    done
    if [[ ${#missing[@]} -eq 0 ]]; then
        echo "Already installed: $*"
        return
    fi
    if [[ $EUID -ne 0 ]]; then
        if ! has sudo || ! sudo -n true 2>/dev/null; then
            say "Missing: ${missing[*]}. Not installed, because that requires root or passwordless sudo." \
                "Tests that need these packages are skipped or fail."
            return
        fi
        as_root=(sudo -n)
    fi
    # One at a time, so that a package which this release lacks does not prevent the installation of the others.
    ${as_root[@]+"${as_root[@]}"} apt-get update -q ||
        say "apt-get update failed; continuing with the existing package lists"
    for package in "${missing[@]}"; do
        ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends "$package" ||
            say "Could not install $package. Tests that need it are skipped or fail."
    done
}

# Whether a program can be linked with OpenBLAS, as the feature blas-static requires.
can_link_openblas() {
    local out
    out="$(mktemp)"
    local found=1
    echo 'int main(void) { return 0; }' | cc -x c - -o "$out" -lopenblas 2>/dev/null && found=0
    rm -f "$out"
    return "$found"
}

hardware_gpu() {
    [[ "$(uname)" == Darwin ]] || compgen -G '/dev/dri/renderD*' >/dev/null || [[ -e /dev/nvidia0 || -e /dev/dxg ]]
}

step "What the tests need"
install_packages "${PACKAGES[@]}"

if ! hardware_gpu && [[ -z "${VK_DRIVER_FILES:-}" ]]; then
    # Drivers for absent hardware take time to detect its absence, and some print warnings.
    for icd in /usr/share/vulkan/icd.d/lvp_icd*.json; do
        [[ -e "$icd" ]] && export VK_DRIVER_FILES="$icd"
    done
    echo "No hardware GPU: shaders run on the CPU, with the driver ${VK_DRIVER_FILES:-(none found)}"
fi
if [[ -z "${XDG_RUNTIME_DIR:-}" ]]; then
    XDG_RUNTIME_DIR="$(mktemp -d)"
    export XDG_RUNTIME_DIR
    trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT
fi

# All builds use the same features, so that dependencies are compiled once.
ALL=(--workspace --all-features)
if ! can_link_openblas; then
    if required blas; then
        say "POLYARRAY_REQUIRE contains blas, but linking with -lopenblas fails, so the feature blas-static" \
            "cannot be tested. Install libopenblas-dev."
        exit 1
    fi
    say "Linking with -lopenblas fails: the feature blas-static is compiled but not run." \
        "Install libopenblas-dev to run it."
    ALL=(--workspace --features polyarray-bench/peers,polyarray-conformance/program)
fi
TARGET_DIR="${CARGO_TARGET_DIR:-target}"
BUILT="$TARGET_DIR/debug"

# Runs unit and integration tests, with cargo-nextest if it is installed.
tests() {
    if has cargo-nextest; then
        cargo nextest run --locked --no-fail-fast "$@"
    else
        cargo test --locked --no-fail-fast --tests "$@"
    fi
}

# ----------------------------------------------------------------------------------------------------------- checks

step "Format"
cargo fmt --all --check

step "Clippy: all features"
cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

step "Documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --all-features

# ------------------------------------------------------------------------------------------------------------ tests

step "Tests: all features"
tests "${ALL[@]}"

step "Tests in the documentation"
cargo test --locked --doc "${ALL[@]}"

if [[ -z "$LONG" ]]; then
    step "All steps passed; ./test.sh --long runs the other ones"
    exit 0
fi

# ------------------------------------------------------------------------------------------ --long: sets of features

step "Clippy: no features"
cargo clippy --locked -p polyarray -p polyarray-cpu --all-targets --no-default-features -- -D warnings

step "Each feature alone"
for feature in simd blas blas-static gpu linalg fft ndarray faer serde npz safetensors dlpack; do
    echo "--- $feature"
    cargo check --locked -p polyarray --no-default-features --features "$feature"
done

step "Tests: default features (BLAS found at run time)"
tests -p polyarray -p polyarray-cpu

step "Tests: no features (scalar alone)"
tests -p polyarray -p polyarray-cpu --no-default-features

step "The programs and examples"
cargo build --locked "${ALL[@]}" --bins --examples

# The tests of polyarray-simd force every tier from within; this loop forces it with the environment variable. A tier
# that the CPU lacks falls back to the best one below it.
for tier in portable avx2 avx512; do
    step "Conformance of simd: at most $tier"
    POLYARRAY_SIMD="$tier" "$BUILT/polyarray-conformance" --check --device simd
done

# The conformance of the other devices is among their tests above; that of an emulated GPU takes minutes.
step "Conformance of simd: the best tier of this CPU"
"$BUILT/polyarray-conformance" --check --device simd

# -------------------------------------------------------------------------------------------- --long: checked builds

# Optimised, with overflow checks and debug assertions: detects sizes and offsets that overflow only in optimised code.
# The conformance suite runs every kernel of simd. The tests of polyarray and the unit tests of polyarray-simd would
# take several times as long to compile; they run only in the profile above, which has the same checks.
step "Tests in release, with overflow checks and debug assertions"
profile=--profile
has cargo-nextest && profile=--cargo-profile
tests "$profile" checked -p polyarray-core -p polyarray-cpu
cargo run --locked --profile checked -p polyarray-conformance --features lean --bin polyarray-conformance -- \
    --check --device simd

# A random workload, the same in every run. Results are compared with a simple model, and AddressSanitizer checks every
# memory access.
SECONDS_OF_WORK="${POLYARRAY_TORMENT_SECONDS:-10}"
step "A random workload under AddressSanitizer, on every tier"
if cargo +nightly --version >/dev/null 2>&1; then
    host="$(rustc -vV | sed -n 's/^host: //p')"
    # With an explicit target, cargo builds build scripts and procedural macros without the sanitizer.
    CARGO_PROFILE_DEV_DEBUG=line-tables-only RUSTFLAGS=-Zsanitizer=address cargo +nightly build --locked \
        --target "$host" --target-dir "$TARGET_DIR/asan" -p polyarray-conformance --features lean \
        --bin polyarray-torment
    torment="$TARGET_DIR/asan/$host/debug/polyarray-torment"
    echo "--- scalar"
    "$torment" --device scalar --seconds "$SECONDS_OF_WORK"
    for tier in portable avx2 avx512 amx; do
        echo "--- simd, at most $tier"
        POLYARRAY_SIMD="$tier" "$torment" --device simd --seconds "$SECONDS_OF_WORK"
    done

    step "Fuzzing under AddressSanitizer, guided by coverage"
    # The flags of cargo-fuzz.
    coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
    coverage+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
    coverage+=" -Cllvm-args=-sanitizer-coverage-trace-compares"
    RUSTFLAGS="--cfg fuzzing -Zsanitizer=address $coverage" cargo +nightly build --locked --release \
        --manifest-path fuzz/Cargo.toml --target "$host" --target-dir "$TARGET_DIR/fuzz"
    for target in npy npz steps; do
        echo "--- $target"
        corpus="$(mktemp -d)"
        [[ $target == steps ]] || cp tests/data/*."$target" "$corpus"
        "$TARGET_DIR/fuzz/$host/release/$target" -max_total_time="$SECONDS_OF_WORK" -timeout=20 -close_fd_mask=1 \
            -artifact_prefix="$TARGET_DIR/fuzz/" "$corpus"
        rm -r "$corpus"
    done
elif required asan; then
    say "POLYARRAY_REQUIRE contains asan, but there is no nightly compiler." \
        "Install one: rustup toolchain install nightly."
    exit 1
else
    say "Skipped: there is no nightly compiler. rustup toolchain install nightly installs one."
fi

# ------------------------------------------------------------------------------- --long: examples and the benchmarks

step "Examples"
for example in examples/*.rs examples/*/main.rs; do
    name="${example#examples/}"
    name="${name%/main.rs}"
    name="${name%.rs}"
    echo "--- $name"
    "$BUILT/examples/$name"
done

step "The devices that were tested"
"$BUILT/polyarray-bench" devices

step "polyarray-bench compare, at one small size"
"$BUILT/polyarray-bench" compare --quick --ops add --sizes 1000

# Shows cases that are slow, and fails for none: this build is not optimised enough for that.
step "polyarray-bench sweep, a sample at one small size"
"$BUILT/polyarray-bench" sweep --sample 200 --sizes 1000 --threads 1 --worst 5

step "polyarray-bench programs, once"
"$BUILT/polyarray-bench" programs --budget 1

step "Errors of ufuncs on every tier of simd, with few points (--quick)"
"$BUILT/polyarray-bench" accuracy --quick --require-all

step "Criterion benches, each once"
cargo test --locked "${ALL[@]}" --bench criterion

step "All steps passed"

#!/usr/bin/env bash
# Runs the conformance suite and a random workload on `scalar` and `simd` for other targets: aarch64 under qemu, and
# wasm32 (WASI preview 1) under Node.js.
#
#     tests/portability.sh [aarch64] [wasm32]        without arguments: both
#
# Requires root, Debian on x86-64 and network access. The script installs a newer Debian in a folder, because the
# compiler of that Debian has the standard libraries of these targets, and the package debootstrap on this system. Later
# runs use the folder again; remove it to start afresh.
#
# POLYARRAY_PORTABILITY   the folder (default: target/portability); it takes 3 GB
# POLYARRAY_TORMENT_SECONDS   seconds of random work on each target and device (default: 20)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n=== %s\n' "$*"; }
die() {
    printf '%s\n' "$*" >&2
    exit 1
}

targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || targets=(aarch64 wasm32)
for target in "${targets[@]}"; do
    [[ "$target" == aarch64 || "$target" == wasm32 ]] ||
        die "Unknown target: $target. The targets are aarch64 and wasm32."
done
[[ "$(uname -sm)" == "Linux x86_64" ]] || die "This system is $(uname -sm). The script supports Linux on x86_64 only."
[[ $EUID -eq 0 ]] || die "Run this script as root: debootstrap and chroot require it."
command -v apt-get >/dev/null || die "This system has no apt-get, with which the script would install debootstrap."

folder="${POLYARRAY_PORTABILITY:-target/portability}"
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"
debian="$folder/debian"
seconds="${POLYARRAY_TORMENT_SECONDS:-20}"

# ------------------------------------------------------------------------------------------------ a Debian in a folder

PACKAGES=(rustc cargo libstd-rust-dev libstd-rust-dev:arm64 libstd-rust-dev-wasm32 gcc libc6-dev
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user nodejs ca-certificates)

# Runs a command in the folder, with a /proc of its own.
inside() {
    unshare --mount --propagation private -- bash -c '
        mount -t proc proc "$0/proc" && exec chroot "$0" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            DEBIAN_FRONTEND=noninteractive CARGO_HOME=/cargo CARGO_TARGET_DIR=/build "${@}"' "$debian" "$@"
}

step "A newer Debian, in $debian"
if [[ ! -e "$debian/.complete" ]]; then
    command -v debootstrap >/dev/null ||
        { apt-get update -q && apt-get install -q -y --no-install-recommends debootstrap; }
    rm -rf "$debian"
    debootstrap --variant=minbase sid "$debian"
    # Package lists are signed in any case. Their expiry dates would reject a mirror that is out of date.
    echo 'Acquire::Check-Valid-Until "false";' >"$debian/etc/apt/apt.conf.d/90valid"
    cp /etc/resolv.conf "$debian/etc/resolv.conf"
    inside dpkg --add-architecture arm64
    inside apt-get update -q
    touch "$debian/.complete"
fi
# The linker for wasm32 must have the version of the compiler's LLVM, for example lld-22.
lld="$(inside apt-cache depends libstd-rust-dev-wasm32 | grep -o 'lld-[0-9]*' | head -n 1 || true)"
[[ -n "$lld" ]] ||
    die "libstd-rust-dev-wasm32 no longer recommends a version of lld." \
        "Find out which linker it needs, and adapt this script."
PACKAGES+=("$lld")
missing=()
for package in "${PACKAGES[@]}"; do
    [[ "$(inside dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" == "install ok installed" ]] ||
        missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] || inside apt-get install -q -y --no-install-recommends "${missing[@]}"
inside rustc --version

# ------------------------------------------------------------------------------------------------ sources and packages

step "Sources"
rm -rf "$debian/polyarray"
mkdir -p "$debian/polyarray" "$debian/cargo"
git ls-files -co --exclude-standard -z | while IFS= read -r -d '' file; do
    if [[ -e "$file" ]]; then printf '%s\0' "$file"; fi
done | tar --null -T - -c | tar -x -C "$debian/polyarray"
# The cargo of this system fetches the packages, if there is one: its certificates and proxies are set up.
fetch=(cargo fetch --locked --target x86_64-unknown-linux-gnu --target aarch64-unknown-linux-gnu --target wasm32-wasip1)
if command -v cargo >/dev/null; then
    CARGO_HOME="$debian/cargo" "${fetch[@]}"
else
    inside env --chdir=/polyarray "${fetch[@]}"
fi

# Runs a WASI program in Node.js, without threads.
cat >"$debian/wasi.mjs" <<'SCRIPT'
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';
const [file, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: 'preview1', args: [file, ...args], env: process.env, returnOnExit: true });
const module = await WebAssembly.compile(readFileSync(file));
process.exitCode = wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject()));
SCRIPT

# ------------------------------------------------------------------------------------------------------------- checks

# Runs the suite and the random workload on both devices. Warnings are errors, because other builds do not compile the
# code for these targets.
check() {
    local triple="$1" suffix="$2" device
    shift 2
    step "$triple: build"
    inside env --chdir=/polyarray RUSTFLAGS="-D warnings" CARGO_NET_OFFLINE=true \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
        CARGO_TARGET_WASM32_WASIP1_LINKER="wasm-${lld/lld-/ld-}" \
        cargo build --locked --target "$triple" -p polyarray-conformance --features lean --bins
    for device in scalar simd; do
        step "$triple: conformance of $device"
        inside "$@" "/build/$triple/debug/polyarray-conformance$suffix" --check --device "$device"
        step "$triple: random work on $device"
        inside "$@" "/build/$triple/debug/polyarray-torment$suffix" --device "$device" --seconds "$seconds"
    done
}

for target in "${targets[@]}"; do
    case "$target" in
    aarch64) check aarch64-unknown-linux-gnu "" qemu-aarch64 -L /usr/aarch64-linux-gnu ;;
    wasm32) check wasm32-wasip1 .wasm node --no-warnings /wasi.mjs ;;
    esac
done

step "All passed: ${targets[*]}"

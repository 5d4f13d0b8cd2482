#!/usr/bin/env bash
# The conformance of `scalar` and `simd`, and a random workload, on targets that this machine is not: aarch64 under qemu,
# and wasm32 (WASI preview 1) under Node.js.
#
#     tests/portability.sh [aarch64] [wasm32]        both, if none is named
#
# Run by hand, as root, on Debian for x86-64 with the network there: a newer Debian is set up in a folder, because its
# compiler comes with the standard libraries of these targets. Nothing else on the machine is changed, but that the package
# debootstrap is installed. What is there is used again: to begin anew, remove the folder.
#
# POLYARRAY_PORTABILITY   the folder (default: target/portability); takes 3 GB
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
    [[ "$target" == aarch64 || "$target" == wasm32 ]] || die "There is no target $target here: aarch64 and wasm32 are known."
done
[[ "$(uname -sm)" == "Linux x86_64" ]] || die "This is $(uname -sm); the emulators are set up on Linux for x86_64."
[[ $EUID -eq 0 ]] || die "Root is needed, to set up another Debian in a folder and to run programs in it (debootstrap, chroot)."
command -v apt-get >/dev/null || die "This is no Debian: there is no apt-get to install debootstrap with."

folder="${POLYARRAY_PORTABILITY:-target/portability}"
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"
debian="$folder/debian"
seconds="${POLYARRAY_TORMENT_SECONDS:-20}"

# ------------------------------------------------------------------------------------------------ a Debian in a folder

PACKAGES=(rustc cargo libstd-rust-dev libstd-rust-dev:arm64 libstd-rust-dev-wasm32 gcc libc6-dev
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user nodejs ca-certificates)

# In the folder, with a /proc that is gone when the command has ended.
inside() {
    unshare --mount --propagation private -- bash -c '
        mount -t proc proc "$0/proc" && exec chroot "$0" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            DEBIAN_FRONTEND=noninteractive CARGO_HOME=/cargo CARGO_TARGET_DIR=/build "${@}"' "$debian" "$@"
}

step "A newer Debian, in $debian"
if [[ ! -e "$debian/.complete" ]]; then
    command -v debootstrap >/dev/null || { apt-get update -q && apt-get install -q -y --no-install-recommends debootstrap; }
    rm -rf "$debian"
    debootstrap --variant=minbase sid "$debian"
    # The lists are signed either way; that they expire is of no use where a clock or a mirror is behind.
    echo 'Acquire::Check-Valid-Until "false";' >"$debian/etc/apt/apt.conf.d/90valid"
    cp /etc/resolv.conf "$debian/etc/resolv.conf"
    inside dpkg --add-architecture arm64
    inside apt-get update -q
    touch "$debian/.complete"
fi
# The linker for wasm32 is that of the LLVM that the compiler uses: lld-22, for example.
lld="$(inside apt-cache depends libstd-rust-dev-wasm32 | grep -o 'lld-[0-9]*' | head -n 1)"
[[ -n "$lld" ]] || die "libstd-rust-dev-wasm32 recommends no lld any more: which linker belongs to it has to be found out anew."
PACKAGES+=("$lld")
missing=()
for package in "${PACKAGES[@]}"; do
    [[ "$(inside dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" == "install ok installed" ]] || missing+=("$package")
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
# Fetched from here where there is a cargo, whose certificates and proxies are set up.
fetch=(cargo fetch --locked --target x86_64-unknown-linux-gnu --target aarch64-unknown-linux-gnu --target wasm32-wasip1)
if command -v cargo >/dev/null; then
    CARGO_HOME="$debian/cargo" "${fetch[@]}"
else
    inside env --chdir=/polyarray "${fetch[@]}"
fi

# Node.js runs what calls for WASI preview 1. It has no threads.
cat >"$debian/wasi.mjs" <<'SCRIPT'
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';
const [file, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: 'preview1', args: [file, ...args], env: process.env, returnOnExit: true });
const module = await WebAssembly.compile(readFileSync(file));
process.exitCode = wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject()));
SCRIPT

# ------------------------------------------------------------------------------------------------------------- checks

# The suite, then random work, on both devices; each must be there. Warnings are errors here too: code of another target is
# what the compiler of this machine does not see.
check() {
    local triple="$1" suffix="$2" device
    shift 2
    step "$triple: build"
    inside env --chdir=/polyarray RUSTFLAGS="-D warnings" CARGO_NET_OFFLINE=true \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc CARGO_TARGET_WASM32_WASIP1_LINKER="wasm-${lld/lld-/ld-}" \
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

#!/bin/bash
# Prepares this machine for plugins in Rust: a compiler with the target wasm32-unknown-unknown. Does nothing where there
# is one.
#
#   1. the compiler in PATH, if it has the target;
#   2. rustup, which adds it;
#   3. Debian's compiler, unpacked privately below ${XDG_CACHE_HOME:-~/.cache}/portcullis/rust-wasm, with a standard
#      library that is built here, once. Nothing is installed; about 2 minutes, 1 GB, and half of that in the end.
#
# PORTCULLIS_WASM_TOOLCHAIN=debian goes straight to the third. `portcullis plugin build` finds it there by itself; who
# calls cargo by hand sources the file `env` in that folder. To be rid of it, delete the folder.
set -euo pipefail

TARGET=wasm32-unknown-unknown
TOOLS=lib/rustlib/x86_64-unknown-linux-gnu/bin
HOME_OF_IT=${XDG_CACHE_HOME:-$HOME/.cache}/portcullis/rust-wasm
CARGO=${CARGO:-cargo}

say() { printf 'toolchain: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# step WHAT COMMAND...: says what begins; what the command prints goes to the log, and its end is shown if it fails.
step() {
    local what=$1 begin=$SECONDS
    shift
    say "$what ..."
    if ! "$@" >>"$HOME_OF_IT/log" 2>&1; then
        tail -n 20 "$HOME_OF_IT/log" >&2
        say "that failed; all of it is in $HOME_OF_IT/log"
        return 1
    fi
    say "$what: $((SECONDS - begin)) s"
}

has_target() {
    local folder
    folder=$(rustc --print target-libdir --target $TARGET 2>/dev/null) && [ -d "$folder" ]
}

# --- the private compiler

# Prints the versions of Debian's compiler that can be had, the newest first.
versions() { apt-cache madison rustc-web | awk '{ print $3 }' | sort -Vru; }

# Prints the one package that another depends on, by the beginning of its name.
dependency() { apt-cache depends "$1" | awk -v begin="$2" 'index($2, begin) == 1 { print $2; exit }'; }

download() {
    local version=$1 release std llvm
    release=$(cut -d. -f1,2 <<<"$version")
    std=libstd-rust-web-$release
    # Its number changes with the compiler's.
    llvm=$(dependency "$std" libllvm)
    (cd "$HOME_OF_IT/deb" && apt-get download "rustc-web=$version" "libstd-rust-web-dev=$version" \
        "rust-web-src=$version" "$std=$version" "${llvm:-$(dependency rustc-web libllvm)}" libz3-4)
}

unpack() {
    local package
    for package in "$HOME_OF_IT"/deb/*.deb; do
        dpkg -x "$package" "$HOME_OF_IT/root"
    done
    rm -r "$HOME_OF_IT/deb"
}

# Gives the private compiler the linker of the one in PATH, which may have moved since. A link, because rust-lld looks for
# its own libraries beside the real file.
link_linker() { ln -sfn "$(rustc --print sysroot)/$TOOLS" "$HOME_OF_IT/root/usr/$TOOLS"; }

# Makes what was unpacked into a compiler that finds its parts.
assemble() {
    local root=$HOME_OF_IT/root/usr libraries library
    libraries=$root/lib/x86_64-linux-gnu
    for library in "$libraries"/*.so*; do
        ln -sf "x86_64-linux-gnu/$(basename "$library")" "$root/lib/"
    done
    link_linker
    cat >"$HOME_OF_IT/env.new" <<END
export RUSTC='$root/bin/rustc'
export LD_LIBRARY_PATH='$libraries'
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER='$root/$TOOLS/rust-lld'
END
}

# Builds the standard library for the target, with the sources that came with the compiler, and puts it where the
# compiler looks.
build_library() {
    local root=$HOME_OF_IT/root/usr crate=$HOME_OF_IT/std
    mkdir -p "$crate/src"
    : >"$crate/src/lib.rs"
    cat >"$crate/Cargo.toml" <<'END'
[package]
name = "nothing"
version = "0.0.0"
edition = "2021"
[profile.release]
panic = "abort"
[workspace]
END
    # Plugins are linked with `lto`, which wants the bitcode of everything. -Z is for unstable compilers; this is the way
    # to have it from a stable one.
    (
        # shellcheck source=/dev/null
        . "$HOME_OF_IT/env.new"
        cd "$crate"
        RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR=$crate/target \
            "$CARGO" build --release --target $TARGET -Zbuild-std=std,panic_abort
    )
    local library=$root/lib/rustlib/$TARGET/lib
    mkdir -p "$library"
    cp "$crate/target/$TARGET/release/deps/"*.rlib "$library/"
    rm -f "$library"/libnothing*
    rm -r "$crate" "$root/src"
}

private_compiler() {
    [ "$(uname -sm)" = "Linux x86_64" ] && command -v apt-get dpkg >/dev/null ||
        die "this is no Debian on x86-64: install rustup (https://rustup.rs) and run: rustup target add $TARGET"
    [ -x "$(rustc --print sysroot)/$TOOLS/rust-lld" ] ||
        die "the compiler in PATH has no rust-lld, which links WebAssembly; rustup's has it: https://rustup.rs"
    say "setting up Debian's compiler in $HOME_OF_IT, once (about 2 minutes and 1 GB)"
    step "looking for packages" apt-get update -qq || say "going on with the lists that are here"
    local version
    for version in $(versions); do
        rm -rf "$HOME_OF_IT"/{deb,root,std}
        mkdir -p "$HOME_OF_IT/deb"
        if step "downloading rustc $version" download "$version" && step "unpacking" unpack &&
            step "putting it together" assemble && step "building its standard library" build_library; then
            mv "$HOME_OF_IT/env.new" "$HOME_OF_IT/env"
            return
        fi
    done
    die "no version of rustc-web could be set up; see $HOME_OF_IT/log"
}

# --- which one

if [ "${PORTCULLIS_WASM_TOOLCHAIN:-}" != debian ]; then
    if has_target; then
        say "$(rustc --version) has $TARGET"
        exit
    fi
    if command -v rustup >/dev/null && rustup target add $TARGET && has_target; then
        exit
    fi
fi
mkdir -p "$HOME_OF_IT"
exec 9>"$HOME_OF_IT/lock"
flock 9
if [ -f "$HOME_OF_IT/env" ]; then
    link_linker
else
    : >"$HOME_OF_IT/log"
    private_compiler
fi
say "ready; by hand: . $HOME_OF_IT/env"
cat "$HOME_OF_IT/env"

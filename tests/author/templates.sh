#!/bin/bash
# What an author does first, in all four languages, from an empty folder: a new plugin is built, passes its cases, is
# measured, signed and changed. usage: templates.sh PORTCULLIS
#
# The first run fetches packages (crates.io, npm, PyPI); what the languages need stays in the user's cache.
set -euo pipefail

portcullis=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

plugin() { "$portcullis" plugin "$@"; }

die() { echo "$*" >&2; exit 1; }

# expect TEXT COMMAND...: it succeeds, and prints the text.
expect() {
    local text=$1 printed
    shift
    printed=$("$@") || { echo "$printed"; die "failed: $*"; }
    grep -qF -- "$text" <<<"$printed" || { echo "$printed"; die "not printed by $*: $text"; }
}

plugin keygen author.key >author.pub

for language in rust js python c; do
    start=$SECONDS
    name=try-$language
    plugin new "$name" --lang "$language" --hook on-message --hook access --hook routing --with kv --with random >/dev/null
    plugin build "$name" >built.txt 2>build.log || { cat build.log; die "$name does not build"; }
    grep -q '^WASI     none$' built.txt || { cat built.txt; die "$name wants WASI"; }
    grep -q '^exports  lifecycle, on-message, access, routing$' built.txt || { cat built.txt; die "$name lacks a hook"; }
    expect ', 0 failed' plugin test "$name"
    expect "$name 0.1.0 would be let in" plugin check "$name"
    expect 'on-message' plugin bench --fuel "$name"
    plugin sign "$name" --key author.key >/dev/null
    expect 'which is trusted' plugin verify "$name" --trusted "$(cat author.pub)"

    # A case that expects something else fails, and says what came instead.
    sed -i 's/^expect = "deny"$/expect = "pass"/' "$name/plugin.toml"
    if plugin test "$name" >tested.txt; then
        die "$name passes a case that expects the opposite"
    fi
    grep -q '^FAILED  plugin.toml: a path out of the folder$' tested.txt || { cat tested.txt; die "no word of it"; }
    if plugin verify "$name" >/dev/null 2>&1; then
        die "the signature of $name fits another manifest"
    fi
    echo "$language: $((SECONDS - start)) s"
done

# The other templates are the same files with less in them: built where that takes no time.
for language in rust js c; do
    for hook in on-message access routing; do
        name=only-$language-$hook
        plugin new "$name" --lang "$language" --hook "$hook" >/dev/null
        plugin build "$name" >/dev/null 2>build.log || { cat build.log; die "$name does not build"; }
        expect ', 0 failed' plugin test "$name"
    done
    echo "$language, one hook each: done"
done

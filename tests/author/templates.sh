#!/bin/bash
# What an author does first, in all four languages, from an empty folder: a new plugin is built, passes its cases, is
# measured, signed, dropped into a running gateway, and changed there. usage: templates.sh PORTCULLIS
#
# The first run fetches packages (crates.io, npm, PyPI); what the languages need stays in the user's cache.
set -euo pipefail

portcullis=$(realpath "$1")
work=$(mktemp -d)
gateway='' developer=''
finish() {
    [ -z "$developer" ] || kill "$developer" || true
    [ -z "$gateway" ] || kill "$gateway" || true
    rm -rf "$work"
}
trap finish EXIT
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

# await TEXT: reads lines from descriptor 3 until one has the text.
await() {
    local line
    while read -r -t 120 -u 3 line; do
        [[ $line != *"$1"* ]] || return 0
        echo "$line" >>awaited.log
    done
    cat awaited.log
    die "never said: $1"
}

# A gateway without plugins, which wants signatures. They are dropped into it.
start_gateway() {
    cat >portcullis.toml <<END
listen = "127.0.0.1:0"
state-dir = "$work/state"
[plugin-host]
require-signature = true
trusted-keys = ["$(cat author.pub)"]
[servers.mock]
command = "@self"
args = ["mock-server"]
END
    mkdir -p plugins
    exec 3< <(exec "$portcullis" serve --config portcullis.toml 2>gateway.log)
    gateway=$!
    local line
    read -r -t 60 -u 3 line || { cat gateway.log; die "no gateway"; }
    address=${line##* }
    exec 3<&-
}

# judge TEXT: the running gateway refuses a path, and says so.
judge() {
    curl -sS "$address/mcp/mock" -H 'content-type: application/json' -d \
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"path":"../x"}}}' >judged.json
    grep -qF -- "$1" judged.json || { cat judged.json gateway.log; die "the gateway does not say: $1"; }
}

plugin keygen author.key >author.pub
start_gateway

for language in rust js python c; do
    start=$SECONDS
    name=try-$language
    plugin new "$name" --lang "$language" --hook on-message --hook access --hook routing --with kv --with random >/dev/null
    plugin build "$name" >built.txt 2>build.log || { cat build.log; die "$name does not build"; }
    if [ "$language" = rust ]; then
        # The same source elsewhere is the same component, and does not tell where that was.
        mkdir elsewhere
        cp -r "$name" elsewhere
        rm -rf "elsewhere/$name"/{target,build,plugin.wasm}
        plugin build "elsewhere/$name" >/dev/null 2>build.log || { cat build.log; die "$name does not build elsewhere"; }
        cmp "$name/plugin.wasm" "elsewhere/$name/plugin.wasm" || die "$name is another component elsewhere"
        ! grep -qF -e "$work" -e "$HOME/" "$name/plugin.wasm" || die "$name tells where it was built"
    fi
    grep -q '^WASI     none$' built.txt || { cat built.txt; die "$name wants WASI"; }
    grep -q '^exports  lifecycle, on-message, access, routing$' built.txt || { cat built.txt; die "$name lacks a hook"; }
    expect ', 0 failed' plugin test "$name"
    expect "$name 0.1.0 would be let in" plugin check "$name"
    expect 'on-message' plugin bench --fuel "$name"
    plugin sign "$name" --key author.key >/dev/null
    expect 'which is trusted' plugin verify "$name" --trusted "$(cat author.pub)"

    # Dropped into the running gateway, and named, it judges; the one of the language before is named no more.
    mkdir "plugins/$name"
    cp "$name"/plugin.{toml,wasm,sig} "plugins/$name"
    sed -i '/^\[\[plugins\]\]$/,$d' portcullis.toml
    printf '[[plugins]]\nname = "%s"\ngrant = { kv = { max-kib = 64 }, random = true }\n' "$name" >>portcullis.toml
    expect "active" plugin reload --config portcullis.toml
    judge 'this path is not allowed'

    # Changed under `plugin dev`, it takes its own place. Python goes the same way, and takes its time to compile.
    if [ "$language" != python ]; then
        exec 3< <(exec "$portcullis" plugin dev "$name" --into plugins --key author.key 2>dev.log)
        developer=$!
        await 'waiting for changes'
        sed -i 's/this path is not allowed/not this path/' "$name"/src/* "$name"/cases/first.toml
        await 'waiting for changes'
        kill "$developer"
        developer=''
        exec 3<&-
        expect "active" plugin reload --config portcullis.toml
        judge 'not this path'
    fi

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

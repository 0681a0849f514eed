# The published conformance suites, for the scripts beside this one, which read it: `have_suites` sees to it that they are
# there, `suite first|second ARGUMENT...` runs one.
#
# They need Node 22 or later. They and, where the system has none, Node itself come from npm, pinned, into the user's
# cache; later runs need no network.

NODE_VERSION=22.23.3
FIRST=0.1.16
SECOND=0.2.0-alpha.12

cache=${XDG_CACHE_HOME:-$HOME/.cache}/portcullis/conformance-$FIRST-$SECOND-node-$NODE_VERSION

system_node_is_new() {
    major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null) && [ "$major" -ge 22 ]
}

# Installs beside the place and moves, so that an interrupted or a second installation does no harm.
install() {
    command -v npm >/dev/null || { echo "npm is needed to install the conformance suites" >&2; exit 2; }
    mkdir -p "$(dirname "$cache")"
    fresh=$(mktemp -d "$cache.XXXXXX")
    set -- "first@npm:@modelcontextprotocol/conformance@$FIRST" "second@npm:@modelcontextprotocol/conformance@$SECOND"
    system_node_is_new || set -- "$@" "node@$NODE_VERSION"
    if ! npm install --prefix "$fresh" --no-audit --no-fund --loglevel=error "$@" >"$work/npm.log" 2>&1; then
        cat "$work/npm.log" >&2
        rm -rf "$fresh"
        exit 2
    fi
    mv "$fresh" "$cache" 2>/dev/null || rm -rf "$fresh"
}

# Wants a directory $work; $node is the Node to use from then on.
have_suites() {
    [ -d "$cache/node_modules" ] || install
    node=$cache/node_modules/node/bin/node
    [ -x "$node" ] || node=node
}

suite() {
    package=$1
    shift
    "$node" "$cache/node_modules/$package/dist/index.js" "$@"
}

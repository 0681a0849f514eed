#!/bin/sh
# Runs the published MCP conformance suites through the gateway: BINARY serves on a free loopback port with its own
# mock server behind it, in every pair of eras: that of the suite, and that of the server. The server is there over stdio,
# one process for each session; then through a second gateway, to which the first is a remote server, over Streamable HTTP
# and over HTTP+SSE. Exit code 0 only if every suite passes.
#
#   tests/conformance/through-gateway.sh target/release/portcullis
#
# CONFORMANCE_OUT names a directory for the full results; see run.sh beside this file.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 BINARY" >&2
    exit 2
fi
binary=$1
here=$(dirname "$0")
work=$(mktemp -d)
near=
far=

# A gateway ends by its own process id; a second signal hurries it, and nothing is left to end after that.
finish() {
    for gateway in $far $near; do
        kill -TERM "$gateway" 2>/dev/null || true
        wait "$gateway" || echo "a gateway ended with exit code $?" >&2
    done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Starts a gateway with the configuration NAME.toml; its process is then $gateway.
start() {
    # Its shell opens the file when it gets to run, which may be later than we look.
    : >"$work/$1.out"
    "$binary" serve --config "$work/$1.toml" --listen 127.0.0.1:0 >"$work/$1.out" 2>"$work/$1.log" </dev/null &
    gateway=$!
}

# Waits for the first line of the gateway NAME, which names the port that the system chose; it is then $port.
await_port() {
    port=
    tries=0
    while [ -z "$port" ]; do
        port=$(sed -n 's|^listening on http://127\.0\.0\.1:\([0-9]*\).*|\1|p' "$work/$1.out")
        tries=$((tries + 1))
        if [ -z "$port" ]; then
            if [ "$tries" -gt 300 ] || ! kill -0 "$gateway" 2>/dev/null; then
                echo "the gateway does not listen; it said:" >&2
                cat "$work/$1.log" >&2
                exit 1
            fi
            sleep 0.1
        fi
    done
}

# Runs the suites of the era $1 against the server $2 of the gateway $3; $4 says how the mock is reached.
run() {
    echo "$1 suites, $4:"
    result=0
    CONFORMANCE_OUT=${CONFORMANCE_OUT:+$CONFORMANCE_OUT/$1-$2} "$here/run.sh" "http://localhost:$port/mcp/$2" "$1" \
        || result=$?
    if [ "$result" -ne 0 ]; then
        status=$result
        echo "the last lines of the gateway's log:" >&2
        tail -n 40 "$work/$3.log" >&2
    fi
}

# Sessions over HTTP+SSE end when they are idle, so there may be many at once.
cat >"$work/near.toml" <<CONFIGURATION
state-dir = "$work/near"
sessions.idle-timeout = "15s"
[server-defaults]
sharing = "session"
instances-max = 512
idle-timeout = "30s"
[servers.legacy]
command = "@self"
args = ["mock-server", "--era", "legacy"]
[servers.modern]
command = "@self"
args = ["mock-server", "--era", "modern"]
CONFIGURATION
start near
near=$gateway
await_port near
near_port=$port

cat >"$work/far.toml" <<CONFIGURATION
state-dir = "$work/far"
[server-defaults]
sharing = "session"
instances-max = 64
idle-timeout = "30s"
[servers.http-legacy]
type = "http"
url = "http://127.0.0.1:$port/mcp/legacy"
protocol-era = "legacy"
[servers.http-modern]
type = "http"
url = "http://127.0.0.1:$port/mcp/modern"
protocol-era = "modern"
[servers.sse]
type = "sse"
url = "http://127.0.0.1:$port/mcp/legacy"
CONFIGURATION

start far
far=$gateway
await_port far

# Those of the two gateways run side by side: the suites wait for the most part.
(
    port=$near_port status=0
    run legacy legacy near "legacy server over stdio"
    run modern modern near "modern server over stdio"
    run legacy modern near "modern server over stdio"
    run bridged legacy near "legacy server over stdio"
    exit "$status"
) >"$work/near.cells" 2>&1 &
near_cells=$!
status=0
run legacy http-legacy far "legacy server over Streamable HTTP"
run modern http-modern far "modern server over Streamable HTTP"
run legacy http-modern far "modern server over Streamable HTTP"
run bridged http-legacy far "legacy server over Streamable HTTP"
run legacy sse far "legacy server over HTTP+SSE"
run bridged sse far "legacy server over HTTP+SSE"
wait "$near_cells" || status=$?
cat "$work/near.cells"
exit "$status"

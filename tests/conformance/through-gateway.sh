#!/bin/sh
# Runs the published MCP conformance suites through the gateway: BINARY serves on a free loopback port with its own
# mock server behind it over stdio, in every pair of eras: that of the suite, and that of the server. Exit code 0 only if
# every suite passes.
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
gateway=

# The gateway ends by its own process id; a second signal hurries it, and nothing is left to end after that.
finish() {
    if [ -n "$gateway" ]; then
        kill -TERM "$gateway" 2>/dev/null || true
        wait "$gateway" || echo "the gateway ended with exit code $?" >&2
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

cat >"$work/portcullis.toml" <<CONFIGURATION
state-dir = "$work/state"
[server-defaults]
sharing = "session"
instances-max = 64
idle-timeout = "30s"
[servers.legacy]
command = "@self"
args = ["mock-server", "--era", "legacy"]
[servers.modern]
command = "@self"
args = ["mock-server", "--era", "modern"]
CONFIGURATION

# The gateway's shell opens it when it gets to run, which may be later than we look.
: >"$work/out"
"$binary" serve --config "$work/portcullis.toml" --listen 127.0.0.1:0 >"$work/out" 2>"$work/log" </dev/null &
gateway=$!

# The first line names the port that the system chose.
address=
tries=0
while [ -z "$address" ]; do
    address=$(sed -n 's|^listening on http://127\.0\.0\.1:\([0-9]*\).*|\1|p' "$work/out")
    tries=$((tries + 1))
    if [ -z "$address" ]; then
        if [ "$tries" -gt 300 ] || ! kill -0 "$gateway" 2>/dev/null; then
            echo "the gateway does not listen; it said:" >&2
            cat "$work/log" >&2
            exit 1
        fi
        sleep 0.1
    fi
done

status=0
for server in legacy modern; do
    for client in legacy modern; do
        echo "$client suites, $server server:"
        "$here/run.sh" "http://localhost:$address/mcp/$server" "$client" || status=$?
    done
done
if [ "$status" -ne 0 ]; then
    echo "the last lines of the gateway's log:" >&2
    tail -n 40 "$work/log" >&2
fi
exit "$status"

#!/bin/sh
# Runs the client scenarios of the published MCP conformance suites against the gateway's side of a client: for each of
# them the suite is a server, BINARY serves with that as a remote server, and client.mjs asks the gateway for what the
# scenario wants done, once as a client with a handshake and once as one without. Exit code 0 only if every check passes.
#
#   tests/conformance/clients.sh target/release/portcullis
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 BINARY" >&2
    exit 2
fi
binary=$1
here=$(dirname "$0")
. "$here/suites.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
have_suites

# The gateway logs in nowhere in the name of a user: it sends the headers that its configuration gives. What remains are
# scenarios for those that do.
scenarios() {
    suite "$@" | sed -n -e '/^Client scenarios/,/^$/s/^  - \([^ ]*\).*/\1/p' -e 's/^    - \([^ ]*\) \[client\]$/\1/p' \
        | grep -v -e '^auth/' -e '^sep-2640-'
}

status=0

# run WHAT PACKAGE ERA SCENARIOS ARGUMENT...: the era is that of the gateway's client.
run() {
    what=$1 package=$2 era=$3 names=$4
    shift 4
    scenarios=0 checks=0 broken=0
    [ -n "$names" ] || { echo "conformance $what: no scenarios" >&2; exit 2; }
    for name in $names; do
        log=$work/client.log
        result=0
        suite "$package" client --command "$node $here/client.mjs $binary $era" --scenario "$name" "$@" >"$log" 2>&1 \
            || result=$?
        passed=$(sed -n 's/^Passed: \([0-9]*\)\/.*/\1/p' "$log")
        if [ "$result" -ne 0 ] || [ "${passed:-0}" -eq 0 ]; then
            broken=$((broken + 1)) status=1
            echo "✗ $name"
            tail -n 40 "$log"
        else
            scenarios=$((scenarios + 1)) checks=$((checks + passed))
        fi
    done
    echo "conformance $what, $era client: $scenarios scenarios with $checks checks passed, $broken failed"
}

for era in legacy modern; do
    run "$FIRST client scenarios" first "$era" "$(scenarios first list --client)"
    for revision in 2025-11-25 2026-07-28; do
        names=$(scenarios second list --client --requirements "$revision")
        run "$SECOND client requirements $revision" second "$era" "$names" --spec-version "$revision"
    done
done
exit "$status"

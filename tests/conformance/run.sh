#!/bin/sh
# Runs the published MCP conformance suites against URL, with an empty baseline: every failure counts.
# One line per run; exit code 0 only if all of them pass.
#
#   tests/conformance/run.sh http://localhost:PORT/mcp/NAME legacy|modern|bridged
#
# The era is that of the suites, which are the clients: legacy is up to 2025-11-25, modern is 2026-07-28. bridged is modern
# with a server that has a handshake: the required scenarios one by one, without those that no such server can pass.
#
# CONFORMANCE_OUT names a directory for the full results.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: $0 URL legacy|modern|bridged" >&2
    exit 2
fi
url=$1 era=$2

. "$(dirname "$0")/suites.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
have_suites

failed=0

# run NAME PACKAGE ARGUMENT...
run() {
    name=$1 package=$2
    shift 2
    log=$work/$package.log
    out=${CONFORMANCE_OUT:-$work/out}/$name
    status=0
    suite "$package" server --url "$url" "$@" -o "$out" >"$log" 2>&1 || status=$?
    total=$(sed -n 's/^Total: //p' "$log" | tail -n 1)
    case "$total" in
        '' | 0\ passed*) status=${status#0}; status=${status:-1} ;;
        # What is pending does not count for the suite; it does here.
        *', 0 failed') ;;
        *) status=${status#0}; status=${status:-1} ;;
    esac
    echo "conformance $name: ${total:-no result} (exit $status)"
    if [ "$status" -ne 0 ]; then
        failed=1
        grep '^✗' "$log" || tail -n 20 "$log"
    fi
}

# A server with a handshake asks one thing after the other and under no key; it never hears what a client says that it has
# not asked.
IMPOSSIBLE="input-required-result-basic-elicitation input-required-result-multiple-input-requests"

# Runs what is required of 2026-07-28 scenario by scenario.
run_bridged() {
    log=$work/bridged.log passed=0 broken=0
    names=$(suite second list --server --requirements 2026-07-28 \
        | sed -n '/^Server scenarios/,/^Client scenarios/s/^  - //p')
    [ -n "$names" ] || { echo "conformance $SECOND: no scenarios" >&2; exit 2; }
    for name in $names; do
        case " $IMPOSSIBLE " in *" $name "*) continue ;; esac
        if suite second server --url "$url" --scenario "$name" \
            --spec-version 2026-07-28 >"$log" 2>&1; then
            passed=$((passed + 1))
        else
            broken=$((broken + 1)) failed=1
            echo "✗ $name"
            grep '✗' "$log" || tail -n 20 "$log"
        fi
    done
    echo "conformance $SECOND requirements 2026-07-28, one by one: $passed scenarios passed, $broken failed"
}

case "$era" in
    legacy)
        run "$FIRST active" first --suite active
        run "$SECOND active" second --suite active
        run "$SECOND requirements 2025-11-25" second --requirements 2025-11-25
        ;;
    modern) run "$SECOND requirements 2026-07-28" second --requirements 2026-07-28 ;;
    bridged) run_bridged ;;
    *) echo "there is no era $era" >&2; exit 2 ;;
esac
exit $failed

#!/usr/bin/env bash
# Times two commits of a plugin in turns and fails where a rule holds beyond the noise; docs/regression.md explains it.
#
#   MODEL=mymodel BASE=origin/main bash regression.sh
#
# Exit code: 1 where a rule holds, 2 where there is no such commit or model, 5 where nothing was comparable.
set -euo pipefail

refuse() {
    echo "regression.sh: $1" >&2
    exit 2
}

[ -n "${MODEL:-}" ] || refuse "MODEL names no model; as --plugins takes it, e.g. MODEL=mymodel:layers=4"
[ -n "${BASE:-}" ] || refuse "BASE names no commit to compare with, e.g. BASE=origin/main"
PROJECT=${PROJECT:-.}                           # the project's folder or a plugin file, from the top of the repository
SUITE=${SUITE:-throughput}
FLAGS=${FLAGS:---seq-len 256 --rounds 15}       # of harness run
RULES=${RULES:-throughput.tokens_per_s < 0.95}  # of harness compare --fail-on, one a line
OUT=${OUT:-results/regression}

commit=$(git rev-parse --verify --quiet "$BASE^{commit}") \
    || { git fetch --quiet --depth=1 origin "$BASE" && commit=$(git rev-parse FETCH_HEAD); } \
    || refuse "no commit $BASE, here or at origin"
top=$(git rev-parse --show-toplevel)
before=$(mktemp -d)
trap 'git -C "$top" worktree remove --force "$before"' EXIT
git worktree add --quiet --detach "$before" "$commit"

plugins="base.$MODEL,head.$MODEL"
# shellcheck disable=SC2086
harness run -p "base=$before/$PROJECT" -p "head=$top/$PROJECT" --suite "$SUITE" --plugins "$plugins" $FLAGS \
    --out "$OUT" --quiet || { code=$?; [ $code -eq 1 ] || exit $code; }     # 1: of a failed row the rules judge
rules=()
while IFS= read -r rule; do
    [ -z "$rule" ] || rules+=(--fail-on "$rule")
done <<< "$RULES"
harness compare "$OUT" --plugins "$plugins" --suite "$SUITE" "${rules[@]}" --markdown \
    | tee -a "${GITHUB_STEP_SUMMARY:-/dev/null}"

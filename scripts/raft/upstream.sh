#!/bin/bash
# Compiles the own tests of go.etcd.io/raft, at the version that shim/go.mod pins, for the target of
# the engine core, and runs them inside Deno. Prints a line per package and ends with 0 only if all
# passed. Its result is recorded in src/committee/raft/README.md.
set -euo pipefail
cd "$(dirname "$0")"
. ./env.sh
[[ -n $go ]] || {
  echo "skipped: no go"
  exit 0
}
runner=$PWD/upstream.ts
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
read -r module version from < <(cd shim && "$go" list -m -f '{{.Path}} {{.Version}} {{.Dir}}' go.etcd.io/raft/v3)
cp -r "$from" "$work/raft"
chmod -R u+w "$work/raft"
cd "$work/raft"
echo "$module $version, $("$go" env GOVERSION) $GOOS/$GOARCH, $(deno --version | head -1)"
failed=0
for folder in $("$go" list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./...); do
  "$go" test -c -o "$folder/tests.wasm" "$folder"
  rc=0
  (cd "$folder" && timeout 900 deno run -q --no-prompt --no-config --allow-read=. --allow-write=. \
    --allow-env "$runner") >"$work/log" 2>&1 || rc=$?
  count() { grep -cE "^ *--- $1: " "$work/log" || true; }
  printf '%s: %s passed, %s failed, %s skipped, exit %s\n' \
    "${module}${folder#"$work/raft"}" "$(count PASS)" "$(count FAIL)" "$(count SKIP)" "$rc"
  if ((rc != 0)) || ! tail -3 "$work/log" | grep -qx PASS; then
    failed=1
    grep -vE '^(=== |raft[0-9]{4}/)' "$work/log" | tail -40
  fi
done
exit $failed

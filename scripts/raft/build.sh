#!/bin/bash
# Builds src/committee/raft/raft.wasm from shim/, with its hash and the licences of what it holds.
#
#   scripts/raft/build.sh          build twice, from two places, and write the files if both agree
#   scripts/raft/build.sh --check  build, and compare with the files that stand there
#
# Needs Go (any version from 1.21 on, env.sh says which one then builds) and its module proxy or a
# filled module cache. Where there is no Go, --check says so and succeeds.
set -euo pipefail
cd "$(dirname "$0")"
mode=${1:-}
[[ $# -le 1 && ($mode == "" || $mode == --check) ]] || {
  echo "usage: build.sh [--check]" >&2
  exit 2
}
. ./env.sh
if [[ -z $go ]]; then
  [[ $mode == --check ]] && echo "skipped: no go" && exit 0
  echo "Go is needed to rebuild the engine core: https://go.dev/dl" >&2
  exit 1
fi
to=../../src/committee/raft
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# build FOLDER OUTPUT
build() {
  (cd "$1" && "$go" build -buildmode=c-shared -trimpath -buildvcs=false \
    -ldflags "-s -w -buildid=" -o "$2" .)
  chmod 644 "$2"
}

# The licences of the modules in the binary, and Go's own.
notices() {
  local raft protobuf root
  raft=$(cd shim && "$go" list -m -f '{{.Dir}} {{.Path}} {{.Version}}' go.etcd.io/raft/v3)
  protobuf=$(cd shim && "$go" list -m -f '{{.Dir}} {{.Path}} {{.Version}}' google.golang.org/protobuf)
  root=$("$go" env GOROOT)
  echo "raft.wasm contains compiled code of the works below, each under the licence that follows it."
  part "${raft#* }" "${raft%% *}/LICENSE"
  part "${protobuf#* }" "${protobuf%% *}/LICENSE" "${protobuf%% *}/PATENTS"
  part "Go's runtime and standard library, $("$go" env GOVERSION)" "$root/LICENSE" "$root/PATENTS"
}
part() {
  printf '\n================ %s\n\n' "$1"
  shift
  cat "$@"
}

# generate FOLDER: all that this script writes.
generate() {
  build shim "$1/raft.wasm"
  notices >"$1/NOTICES.txt"
  printf '/** SHA-256 of `raft.wasm`; `scripts/raft/build.sh` writes both. */\n%s "%s";\n' \
    'export const WASM_SHA256 =' "$(sha256sum <"$1/raft.wasm" | cut -d' ' -f1)" >"$1/hash.ts"
}

mkdir "$work/one"
generate "$work/one"
if [[ $mode == --check ]]; then
  for name in raft.wasm NOTICES.txt hash.ts; do
    cmp "$work/one/$name" "$to/$name" || {
      echo "$name is not what $("$go" version) builds from scripts/raft/shim" >&2
      exit 1
    }
  done
  echo "raft.wasm is what scripts/raft/shim gives"
  exit 0
fi
cp -r shim "$work/elsewhere"
GOCACHE=$work/cache build "$work/elsewhere" "$work/two.wasm"
cmp "$work/one/raft.wasm" "$work/two.wasm"
install -m 644 "$work/one"/* "$to"
sha256sum "$to/raft.wasm"

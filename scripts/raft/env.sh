# Pins of the engine core's build: sourced by build.sh and upstream.sh.
# shellcheck shell=bash
go=$(command -v go || true)
[[ -n $go || ! -x /usr/local/go/bin/go ]] || go=/usr/local/go/bin/go

# The toolchain is fetched by Go itself where another one is installed. No setting of the machine
# may reach the binary.
export GOTOOLCHAIN=go1.26.8 GOWORK=off GOENV=off GOFLAGS=-mod=readonly CGO_ENABLED=0
export GOOS=wasip1 GOARCH=wasm
unset GOEXPERIMENT GOWASM GODEBUG GOFIPS140 GO111MODULE GOROOT

// Command raft is one node of go.etcd.io/raft/v3 as a WebAssembly reactor: the raw-node calls, and
// a log in memory that the host refills after a restart. It has no goroutine of its own, reads no
// clock, and asks for randomness only through WASI's random_get.
//
// Calling convention: the host asks input(n) for a place, writes n bytes there and calls an
// operation with n. Every operation answers 0 or a code of errors.go; what it has to say, a result
// or a message, stands at output() for outputLength() bytes until the next call. The layouts are in
// wire.go. A panic ends the instance: Go writes the reason to standard error and calls proc_exit.
package main

import "unsafe"

var (
	in  []byte
	out []byte
)

func main() {}

//go:wasmexport input
func input(n uint32) uint32 {
	if uint32(cap(in)) < n || cap(in) == 0 {
		in = make([]byte, n, max(n, 4096))
	}
	in = in[:n]
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(in))))
}

//go:wasmexport output
func output() uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(out)))) }

//go:wasmexport outputLength
func outputLength() uint32 { return uint32(len(out)) }

// answer leaves a result, or a message and its code.
func answer(result []byte, err error) uint32 {
	if err == nil {
		out = result
		return 0
	}
	out = []byte(err.Error())
	return codeOf(err)
}

var self *node

// run answers what a call on the node gives, once there is one.
func run(call func(n *node) ([]byte, error)) uint32 {
	if self == nil {
		return answer(nil, orderError("there is no node yet"))
	}
	return answer(call(self))
}

//go:wasmexport create
func create() uint32 {
	if self != nil {
		return answer(nil, orderError("there is a node already"))
	}
	n, err := newNode(in)
	self = n
	return answer(nil, err)
}

//go:wasmexport tick
func tick() uint32 {
	return run(func(n *node) ([]byte, error) { n.raw.Tick(); return nil, nil })
}

//go:wasmexport campaign
func campaign() uint32 {
	return run(func(n *node) ([]byte, error) { return nil, n.raw.Campaign() })
}

//go:wasmexport propose
func propose() uint32 {
	return run(func(n *node) ([]byte, error) { return nil, n.propose(in) })
}

//go:wasmexport proposeConfChange
func proposeConfChange() uint32 {
	return run(func(n *node) ([]byte, error) { return nil, n.proposeConfChange(in) })
}

//go:wasmexport step
func step(from uint32) uint32 {
	return run(func(n *node) ([]byte, error) { return nil, n.step(uint64(from), in) })
}

//go:wasmexport ready
func ready() uint32 {
	return run(func(n *node) ([]byte, error) { return n.ready() })
}

//go:wasmexport applyConfChange
func applyConfChange(index uint64) uint32 {
	return run(func(n *node) ([]byte, error) { return n.applyConfChange(index) })
}

//go:wasmexport advance
func advance() uint32 {
	return run(func(n *node) ([]byte, error) { return nil, n.advance() })
}

//go:wasmexport createSnapshot
func createSnapshot() uint32 {
	return run(func(n *node) ([]byte, error) { return n.createSnapshot(in) })
}

//go:wasmexport compact
func compact(index uint64) uint32 {
	return run(func(n *node) ([]byte, error) { return nil, n.compact(index) })
}

//go:wasmexport reportSnapshot
func reportSnapshot(to uint32, arrived uint32) uint32 {
	return run(func(n *node) ([]byte, error) { n.reportSnapshot(uint64(to), arrived != 0); return nil, nil })
}

//go:wasmexport reportUnreachable
func reportUnreachable(to uint32) uint32 {
	return run(func(n *node) ([]byte, error) { n.raw.ReportUnreachable(uint64(to)); return nil, nil })
}

//go:wasmexport transferLeader
func transferLeader(to uint32) uint32 {
	return run(func(n *node) ([]byte, error) { n.raw.TransferLeader(uint64(to)); return nil, nil })
}

//go:wasmexport status
func status() uint32 {
	return run(func(n *node) ([]byte, error) { return n.status(), nil })
}

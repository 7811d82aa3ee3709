package main

import (
	"encoding/binary"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Layouts between host and shim, little-endian; src/committee/raft/wire.ts is the other end.
//
//	members    u32 count ‖ u32 id …, four times: voters, learners, outgoing voters, next learners;
//	           u8 leaves a joint state by itself
//	hard state u64 term ‖ u32 vote ‖ u64 commit
//	entry      u8 type ‖ u64 term ‖ u64 index ‖ bytes
//	snapshot   u64 index ‖ u64 term ‖ members ‖ bytes
//	bytes      u32 length ‖ bytes

// maxNumber bounds terms and indexes, so that a host's double holds them and none runs over.
const maxNumber = 1 << 48

// maxMembers bounds each set of ids.
const maxMembers = 64

type writer struct{ b []byte }

func (w *writer) u8(v byte)    { w.b = append(w.b, v) }
func (w *writer) u32(v uint32) { w.b = binary.LittleEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64) { w.b = binary.LittleEndian.AppendUint64(w.b, v) }
func (w *writer) bool(v bool) {
	if v {
		w.u8(1)
	} else {
		w.u8(0)
	}
}
func (w *writer) bytes(v []byte) { w.u32(uint32(len(v))); w.b = append(w.b, v...) }

func (w *writer) members(cs *pb.ConfState) {
	for _, set := range memberSets(cs) {
		w.u32(uint32(len(set)))
		for _, id := range set {
			w.u32(uint32(id))
		}
	}
	w.bool(cs.GetAutoLeave())
}

func (w *writer) entry(e *pb.Entry) {
	w.u8(byte(e.GetType()))
	w.u64(e.GetTerm())
	w.u64(e.GetIndex())
	w.bytes(e.GetData())
}

func (w *writer) entries(list []*pb.Entry) {
	w.u32(uint32(len(list)))
	for _, e := range list {
		w.entry(e)
	}
}

func (w *writer) snapshot(s *pb.Snapshot) {
	w.u64(s.GetMetadata().GetIndex())
	w.u64(s.GetMetadata().GetTerm())
	w.members(s.GetMetadata().GetConfState())
	w.bytes(s.GetData())
}

// reader reads a host's bytes; after the first thing that does not fit, everything is zero.
type reader struct {
	b    []byte
	fail bool
}

func (r *reader) take(n int) []byte {
	if r.fail || n > len(r.b) {
		r.fail = true
		return make([]byte, min(n, 8))
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() byte      { return r.take(1)[0] }
func (r *reader) bool() bool    { return r.u8() == 1 }
func (r *reader) u32() uint32   { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64   { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *reader) done() bool    { return !r.fail && len(r.b) == 0 }
func (r *reader) bytes() []byte { return append([]byte(nil), r.take(int(r.u32()))...) }

func (r *reader) ids() []uint64 {
	n := r.u32()
	if n > maxMembers {
		r.fail = true
		return nil
	}
	var set []uint64
	for range n {
		set = append(set, uint64(r.u32()))
	}
	return set
}

func (r *reader) members() *pb.ConfState {
	cs := &pb.ConfState{Voters: r.ids(), Learners: r.ids(), VotersOutgoing: r.ids(), LearnersNext: r.ids()}
	cs.AutoLeave = new(r.bool())
	return cs
}

func (r *reader) entry() *pb.Entry {
	e := &pb.Entry{}
	e.Type = new(pb.EntryType(r.u8()))
	e.Term = new(r.u64())
	e.Index = new(r.u64())
	e.Data = r.bytes()
	return e
}

func (r *reader) snapshot() *pb.Snapshot {
	s := &pb.Snapshot{Metadata: &pb.SnapshotMetadata{}}
	s.Metadata.Index = new(r.u64())
	s.Metadata.Term = new(r.u64())
	s.Metadata.ConfState = r.members()
	s.Data = r.bytes()
	return s
}

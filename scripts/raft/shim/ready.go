package main

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// ready answers nothing, or: u8 must sync ‖ u8 has hard state ‖ hard state ‖ u8 has soft state ‖
// u32 leader ‖ u8 state ‖ u32 entries ‖ entry … ‖ u32 committed ‖ entry … ‖ u8 has snapshot ‖
// snapshot ‖ u32 messages ‖ (u32 to ‖ u8 is snapshot ‖ bytes) …
func (n *node) ready() ([]byte, error) {
	if n.open {
		return nil, orderError("ready before advance")
	}
	if !n.raw.HasReady() {
		return nil, nil
	}
	rd := n.raw.Ready()
	n.last, n.open = rd, true
	w := &writer{}
	w.bool(rd.MustSync)
	w.bool(!raft.IsEmptyHardState(rd.HardState))
	if !raft.IsEmptyHardState(rd.HardState) {
		w.u64(rd.HardState.GetTerm())
		w.u32(uint32(rd.HardState.GetVote()))
		w.u64(rd.HardState.GetCommit())
		n.log.SetHardState(rd.HardState)
	}
	w.bool(rd.SoftState != nil)
	if rd.SoftState != nil {
		w.u32(uint32(rd.SoftState.Lead))
		w.u8(byte(rd.SoftState.RaftState))
	}
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := n.log.ApplySnapshot(rd.Snapshot); err != nil {
			return nil, err
		}
		n.members = rd.Snapshot.GetMetadata().GetConfState()
	}
	if err := n.log.Append(rd.Entries); err != nil {
		return nil, err
	}
	w.entries(rd.Entries)
	w.entries(rd.CommittedEntries)
	for _, e := range rd.CommittedEntries {
		if e.GetType() != pb.EntryNormal {
			n.changes = append(n.changes, e)
		}
	}
	w.bool(!raft.IsEmptySnap(rd.Snapshot))
	if !raft.IsEmptySnap(rd.Snapshot) {
		w.snapshot(rd.Snapshot)
	}
	w.u32(uint32(len(rd.Messages)))
	for _, m := range rd.Messages {
		b, err := encodeMessage(m)
		if err != nil {
			return nil, err
		}
		w.u32(uint32(m.GetTo()))
		w.bool(m.GetType() == pb.MsgSnap)
		w.bytes(b)
	}
	return w.b, nil
}

// applyConfChange puts the next committed membership change into force and answers the members.
func (n *node) applyConfChange(index uint64) ([]byte, error) {
	if len(n.changes) == 0 || n.changes[0].GetIndex() != index {
		return nil, orderError("entry %d is not the membership change that is due", index)
	}
	change, err := confChangeOf(n.changes[0])
	if err != nil {
		return nil, err
	}
	n.changes = n.changes[1:]
	n.members = n.raw.ApplyConfChange(change)
	w := &writer{}
	w.members(n.members)
	return w.b, nil
}

func (n *node) advance() error {
	if !n.open {
		return orderError("advance without ready")
	}
	if len(n.changes) > 0 {
		return orderError("advance before the membership change of entry %d", n.changes[0].GetIndex())
	}
	n.raw.Advance(n.last)
	n.last, n.open = raft.Ready{}, false
	return nil
}

// status answers: u32 id ‖ u64 term ‖ u32 vote ‖ u32 leader ‖ u8 state ‖ u64 committed ‖
// u64 applied ‖ u64 first ‖ u64 last ‖ u64 snapshot ‖ members ‖ u32 progress ‖
// (u32 id ‖ u64 match ‖ u64 next ‖ u8 state ‖ u8 active ‖ u8 learner) …
func (n *node) status() []byte {
	s := n.raw.BasicStatus()
	first, _ := n.log.FirstIndex()
	last, _ := n.log.LastIndex()
	snapshot, _ := n.log.Snapshot()
	w := &writer{}
	w.u32(uint32(s.ID))
	w.u64(s.GetTerm())
	w.u32(uint32(s.GetVote()))
	w.u32(uint32(s.Lead))
	w.u8(byte(s.RaftState))
	for _, v := range []uint64{s.GetCommit(), s.Applied, first, last, snapshot.GetMetadata().GetIndex()} {
		w.u64(v)
	}
	w.members(n.members)
	type follower struct {
		id uint64
		tracker.Progress
	}
	var all []follower
	if s.RaftState == raft.StateLeader {
		n.raw.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
			all = append(all, follower{id, p})
		})
	}
	slices.SortFunc(all, func(a, b follower) int { return int(int64(a.id) - int64(b.id)) })
	w.u32(uint32(len(all)))
	for _, f := range all {
		w.u32(uint32(f.id))
		w.u64(f.Match)
		w.u64(f.Next)
		w.u8(byte(f.State))
		w.bool(f.RecentActive)
		w.bool(f.IsLearner)
	}
	return w.b
}

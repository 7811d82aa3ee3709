package main

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// node is a raw node with its log in memory.
type node struct {
	id          uint64
	raw         *raft.RawNode
	log         *raft.MemoryStorage
	members     *pb.ConfState
	open        bool        // a Ready is out
	last        raft.Ready  // that Ready
	changes     []*pb.Entry // its membership changes that are still to be applied
	maxEntry    int
	maxMessage  int
	maxSnapshot int
}

// newNode reads: u32 id ‖ u32 election ticks ‖ u32 heartbeat ticks ‖ u8 pre-vote ‖ u8 check quorum
// ‖ u32 longest entry ‖ u32 longest batch ‖ u32 most batches in flight ‖ u32 most uncommitted bytes
// ‖ u32 longest snapshot ‖ u8 has snapshot ‖ snapshot ‖ hard state ‖ u32 entries ‖ entry …
func newNode(b []byte) (*node, error) {
	r := &reader{b: b}
	n := &node{id: uint64(r.u32()), log: raft.NewMemoryStorage(), members: &pb.ConfState{}}
	config := &raft.Config{
		ID:            n.id,
		ElectionTick:  int(r.u32()),
		HeartbeatTick: int(r.u32()),
		PreVote:       r.bool(),
		CheckQuorum:   r.bool(),
		Storage:       n.log,
		Logger:        silent{},
	}
	n.maxEntry = int(r.u32())
	config.MaxSizePerMsg = uint64(r.u32())
	config.MaxInflightMsgs = int(r.u32())
	config.MaxUncommittedEntriesSize = uint64(r.u32())
	n.maxSnapshot = int(r.u32())
	// Beside what they carry, messages hold a few numbers and at most four sets of members.
	n.maxMessage = max(n.maxEntry, int(config.MaxSizePerMsg), n.maxSnapshot) + 4096
	if r.bool() {
		snapshot := r.snapshot()
		if !r.fail && (snapshot.GetMetadata().GetIndex() == 0 || !membersAre(snapshot.GetMetadata().GetConfState())) {
			return nil, argumentError("a snapshot at %d that none can be", snapshot.GetMetadata().GetIndex())
		}
		if err := n.log.ApplySnapshot(snapshot); err != nil {
			return nil, err
		}
		n.members = snapshot.GetMetadata().GetConfState()
		config.Applied = snapshot.GetMetadata().GetIndex()
	}
	hard := &pb.HardState{Term: new(r.u64()), Vote: new(uint64(r.u32())), Commit: new(r.u64())}
	var entries []*pb.Entry
	for range r.u32() {
		if r.fail {
			break
		}
		entries = append(entries, r.entry())
	}
	if !r.done() {
		return nil, argumentError("%d bytes that are no node", len(b))
	}
	if err := n.load(hard, entries); err != nil {
		return nil, err
	}
	raw, err := raft.NewRawNode(config)
	n.raw = raw
	return n, err
}

// load fills the log; raft panics at a hard state that does not fit its log.
func (n *node) load(hard *pb.HardState, entries []*pb.Entry) error {
	first, _ := n.log.LastIndex()
	term, _ := n.log.Term(first)
	if raft.IsEmptyHardState(hard) {
		hard = &pb.HardState{Term: new(term), Vote: new(uint64(0)), Commit: new(first)}
	}
	last := first + uint64(len(entries))
	if hard.GetTerm() > maxNumber || hard.GetTerm() < term || hard.GetCommit() < first || hard.GetCommit() > last {
		return argumentError("a hard state of term %d that commits %d, with a log of %d to %d from term %d",
			hard.GetTerm(), hard.GetCommit(), first+1, last, term)
	}
	if err := checkEntries(entries, first, term, hard.GetTerm(), n.maxEntry); err != nil {
		return argumentError("%v", err)
	}
	if !raft.IsEmptyHardState(hard) {
		n.log.SetHardState(hard)
	}
	return n.log.Append(entries)
}

func (n *node) propose(data []byte) error {
	if len(data) > n.maxEntry {
		return argumentError("an entry of %d bytes, at most %d are allowed", len(data), n.maxEntry)
	}
	return n.raw.Propose(append([]byte(nil), data...))
}

// proposeConfChange reads: u8 transition ‖ u32 count ‖ (u8 kind ‖ u32 id) …
func (n *node) proposeConfChange(b []byte) error {
	r := &reader{b: b}
	change := &pb.ConfChangeV2{Transition: new(pb.ConfChangeTransition(r.u8()))}
	count := r.u32()
	if count > maxMembers {
		return argumentError("%d changes at once, at most %d are allowed", count, maxMembers)
	}
	for range count {
		kind, id := pb.ConfChangeType(r.u8()), uint64(r.u32())
		if id == 0 || kind > pb.ConfChangeAddLearnerNode {
			return argumentError("a change of kind %d for node %d", kind, id)
		}
		change.Changes = append(change.Changes, &pb.ConfChangeSingle{Type: new(kind), NodeId: new(id)})
	}
	if !r.done() {
		return argumentError("%d bytes that are no membership change", len(b))
	}
	return n.raw.ProposeConfChange(change)
}

func (n *node) step(from uint64, b []byte) error {
	if len(b) > n.maxMessage {
		return messageError("a message of %d bytes, at most %d are allowed", len(b), n.maxMessage)
	}
	m := &pb.Message{}
	if err := decoding.Unmarshal(b, m); err != nil {
		return messageError("a message that does not decode: %v", err)
	}
	if err := n.checkMessage(m, from); err != nil {
		return err
	}
	return n.raw.Step(m)
}

// createSnapshot stands for everything applied so far, with the members as they are now.
func (n *node) createSnapshot(data []byte) ([]byte, error) {
	if n.open {
		return nil, orderError("a snapshot before advance")
	}
	if len(data) > n.maxSnapshot {
		return nil, argumentError("a snapshot of %d bytes, at most %d are allowed", len(data), n.maxSnapshot)
	}
	snapshot, err := n.log.CreateSnapshot(n.raw.BasicStatus().Applied, n.members, append([]byte(nil), data...))
	if err != nil {
		return nil, argumentError("%v", err)
	}
	w := &writer{}
	w.snapshot(snapshot)
	return w.b, nil
}

// compact forgets entries up to an index that the snapshot covers.
func (n *node) compact(index uint64) error {
	snapshot, _ := n.log.Snapshot()
	if index > snapshot.GetMetadata().GetIndex() {
		return argumentError("compaction to %d, the snapshot stands at %d", index, snapshot.GetMetadata().GetIndex())
	}
	if err := n.log.Compact(index); err != nil {
		return argumentError("%v", err)
	}
	return nil
}

func (n *node) reportSnapshot(to uint64, arrived bool) {
	status := raft.SnapshotFailure
	if arrived {
		status = raft.SnapshotFinish
	}
	n.raw.ReportSnapshot(to, status)
}

func encodeMessage(m *pb.Message) ([]byte, error) { return proto.Marshal(m) }

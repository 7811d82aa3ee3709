package main

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Raft trusts its peers: several kinds of nonsense make it panic. What can be seen beforehand is
// refused here; what remains ends the instance, never the host.

// decoding refuses depth that no message has, and forgets fields that nobody reads.
var decoding = proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: 8}

func memberSets(cs *pb.ConfState) [4][]uint64 {
	return [4][]uint64{cs.GetVoters(), cs.GetLearners(), cs.GetVotersOutgoing(), cs.GetLearnersNext()}
}

// membersAre tells whether a member set is one that raft can be in.
func membersAre(cs *pb.ConfState) bool {
	for _, set := range memberSets(cs) {
		seen := map[uint64]bool{}
		for _, id := range set {
			if id == 0 || id > 1<<32-1 || seen[id] {
				return false
			}
			seen[id] = true
		}
		if len(set) > maxMembers {
			return false
		}
	}
	for _, id := range cs.GetLearners() {
		if slices.Contains(cs.GetVoters(), id) || slices.Contains(cs.GetVotersOutgoing(), id) {
			return false
		}
	}
	for _, id := range cs.GetLearnersNext() {
		if !slices.Contains(cs.GetVotersOutgoing(), id) || slices.Contains(cs.GetVoters(), id) {
			return false
		}
	}
	return len(cs.GetVoters()) > 0 && (len(cs.GetVotersOutgoing()) > 0 || !cs.GetAutoLeave())
}

// confChangeOf decodes a membership change; a nil change and no error is an entry of another type.
func confChangeOf(e *pb.Entry) (pb.ConfChangeI, error) {
	var change pb.ConfChangeI
	var err error
	switch e.GetType() {
	case pb.EntryNormal:
		return nil, nil
	case pb.EntryConfChange:
		it := &pb.ConfChange{}
		err, change = decoding.Unmarshal(e.GetData(), it), it
	case pb.EntryConfChangeV2:
		it := &pb.ConfChangeV2{}
		err, change = decoding.Unmarshal(e.GetData(), it), it
	default:
		return nil, messageError("an entry of type %d", e.GetType())
	}
	if err != nil {
		return nil, messageError("a membership change that does not decode: %v", err)
	}
	for _, one := range change.AsV2().GetChanges() {
		if one.GetNodeId() == 0 || one.GetNodeId() > 1<<32-1 {
			return nil, messageError("a membership change of node %d", one.GetNodeId())
		}
	}
	return change, nil
}

// checkEntries refuses entries that do not follow index and term in one gapless line.
func checkEntries(list []*pb.Entry, index, term, last uint64, maxData int) error {
	for _, e := range list {
		index++
		if e.GetIndex() != index || e.GetTerm() < term || e.GetTerm() > last {
			return messageError("entry %d of term %d where %d of term %d to %d follows",
				e.GetIndex(), e.GetTerm(), index, term, last)
		}
		term = e.GetTerm()
		if err := checkEntry(e, maxData); err != nil {
			return err
		}
	}
	return nil
}

func checkEntry(e *pb.Entry, maxData int) error {
	if len(e.GetData()) > maxData {
		return messageError("an entry of %d bytes, at most %d are allowed", len(e.GetData()), maxData)
	}
	_, err := confChangeOf(e)
	return err
}

// checkMessage refuses what an honest node with its log intact does not send here.
func (n *node) checkMessage(m *pb.Message, from uint64) error {
	if m.GetFrom() != from || m.GetTo() != n.id {
		return messageError("a message from %d to %d, expected from %d to %d", m.GetFrom(), m.GetTo(), from, n.id)
	}
	for _, number := range []uint64{m.GetTerm(), m.GetLogTerm(), m.GetIndex(), m.GetCommit(), m.GetRejectHint()} {
		if number > maxNumber {
			return messageError("the number %d, at most %d is allowed", number, uint64(maxNumber))
		}
	}
	if len(m.GetResponses()) > 0 || m.GetVote() != 0 {
		return messageError("fields of a message to a disk")
	}
	kind := m.GetType()
	if kind != pb.MsgApp && kind != pb.MsgProp && len(m.GetEntries()) > 0 {
		return messageError("entries in a %v", kind)
	}
	if kind != pb.MsgSnap && !raft.IsEmptySnap(m.GetSnapshot()) {
		return messageError("a snapshot in a %v", kind)
	}
	if (kind == pb.MsgProp) != (m.GetTerm() == 0) {
		return messageError("a %v of term %d", kind, m.GetTerm())
	}
	last, _ := n.log.LastIndex()
	switch kind {
	case pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp, pb.MsgHeartbeatResp, pb.MsgTimeoutNow:
		return nil
	case pb.MsgHeartbeat:
		if m.GetCommit() > last {
			return messageError("a heartbeat that commits %d, the log ends at %d", m.GetCommit(), last)
		}
		return nil
	case pb.MsgAppResp:
		if !m.GetReject() && m.GetIndex() > last {
			return messageError("an acknowledgement of %d, the log ends at %d", m.GetIndex(), last)
		}
		return nil
	case pb.MsgProp:
		if len(m.GetEntries()) != 1 {
			return messageError("a proposal of %d entries", len(m.GetEntries()))
		}
		return checkEntry(m.GetEntries()[0], n.maxEntry)
	case pb.MsgApp:
		return n.checkAppend(m)
	case pb.MsgSnap:
		meta := m.GetSnapshot().GetMetadata()
		if meta.GetIndex() == 0 || meta.GetIndex() > maxNumber || meta.GetTerm() > m.GetTerm() ||
			!membersAre(meta.GetConfState()) || len(m.GetSnapshot().GetData()) > n.maxSnapshot {
			return messageError("a snapshot at %d that none can be", meta.GetIndex())
		}
		return nil
	}
	return messageError("a message of type %v", kind)
}

// checkAppend refuses entries that raft would find to contradict what is committed.
func (n *node) checkAppend(m *pb.Message) error {
	list := m.GetEntries()
	if err := checkEntries(list, m.GetIndex(), m.GetLogTerm(), m.GetTerm(), n.maxEntry); err != nil {
		return err
	}
	committed := n.raw.BasicStatus().GetCommit()
	for _, e := range list {
		if e.GetIndex() > committed {
			break
		}
		if term, err := n.log.Term(e.GetIndex()); err == nil && term != e.GetTerm() {
			return messageError("entry %d of term %d, committed of term %d", e.GetIndex(), e.GetTerm(), term)
		}
	}
	return nil
}

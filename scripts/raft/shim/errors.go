package main

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
)

// Codes of refusals; src/committee/raft/errors.ts has the same ones by name.
const (
	codeArgument = 1 // a call's own bytes are not what they should be
	codeOrder    = 2 // the call is not due now
	codeMessage  = 3 // a message that must not be stepped
	codePeer     = 4 // a response of a node that is no member
	codeDropped  = 5 // raft dropped the proposal
	codeUpstream = 6 // anything else raft refused
)

type refusal struct {
	code uint32
	text string
}

func (r *refusal) Error() string { return r.text }

func argumentError(format string, args ...any) error {
	return &refusal{codeArgument, fmt.Sprintf(format, args...)}
}

func orderError(format string, args ...any) error {
	return &refusal{codeOrder, fmt.Sprintf(format, args...)}
}

func messageError(format string, args ...any) error {
	return &refusal{codeMessage, fmt.Sprintf(format, args...)}
}

func codeOf(err error) uint32 {
	var own *refusal
	switch {
	case errors.As(err, &own):
		return own.code
	case errors.Is(err, raft.ErrProposalDropped):
		return codeDropped
	case errors.Is(err, raft.ErrStepPeerNotFound):
		return codePeer
	}
	return codeUpstream
}

// silent keeps raft's log lines to itself; what ends the instance becomes a panic with its text.
type silent struct{}

func (silent) Debug(...any)                   {}
func (silent) Debugf(string, ...any)          {}
func (silent) Info(...any)                    {}
func (silent) Infof(string, ...any)           {}
func (silent) Warning(...any)                 {}
func (silent) Warningf(string, ...any)        {}
func (silent) Error(...any)                   {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatal(v ...any)                 { panic(fmt.Sprint(v...)) }
func (silent) Fatalf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
func (silent) Panic(v ...any)                 { panic(fmt.Sprint(v...)) }
func (silent) Panicf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }

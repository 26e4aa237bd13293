package heap

import (
	"fmt"
	"strings"
)

// Kind says what a finding is about.
type Kind string

// The kinds of findings. The first group is damage to the heap's own
// structures, the second a pointer that the caller should not have passed.
const (
	// HeaderDamaged: a control header was overwritten. Recovered says whether
	// its backup, or other evidence, restored it.
	HeaderDamaged Kind = "header-damaged"
	// BackupDamaged: the backup of an intact control header was overwritten.
	BackupDamaged Kind = "backup-damaged"
	// BothDamaged: neither a control header nor its backup can be trusted.
	BothDamaged Kind = "both-damaged"
	// LinkBroken: a node and its neighbour contradict each other although
	// both headers are intact.
	LinkBroken Kind = "link-broken"
	// FreeDamaged: the allocator's note in the payload of a free node was
	// overwritten: somebody wrote to memory after freeing it.
	FreeDamaged Kind = "write-after-free"
	// FreeIndexWrong: the structure that finds free nodes disagrees with the
	// nodes.
	FreeIndexWrong Kind = "free-index-wrong"
	// TotalsWrong: the running totals disagree with a recount.
	TotalsWrong Kind = "totals-wrong"
	// PoolHeadDamaged: the pool's own head was overwritten.
	PoolHeadDamaged Kind = "pool-head-damaged"

	NilPointer    Kind = "nil-pointer"         // nil was freed
	OutsidePool   Kind = "outside-pool"        // not in any known pool
	OtherPool     Kind = "other-pool"          // belongs to another pool
	Unaligned     Kind = "unaligned-pointer"   // no payload can start there
	InsideNode    Kind = "inside-node"         // inside a used node, not at its payload
	InsideFree    Kind = "inside-free-node"    // inside a free node, never a payload as far as can be told
	DoubleFree    Kind = "double-free"         // freed before
	InQuarantine  Kind = "quarantined-node"    // in memory withdrawn after damage
	InPoolControl Kind = "inside-pool-control" // in the pool's own head or tail

	// PastEnd: a checked write would have left its node, and was refused.
	PastEnd Kind = "write-past-end"
)

// WildPointer reports whether the finding is about a pointer passed by the
// caller and not about damage.
func (k Kind) WildPointer() bool {
	switch k {
	case NilPointer, OutsidePool, OtherPool, Unaligned, InsideNode, InsideFree, DoubleFree, InQuarantine, InPoolControl:
		return true
	}
	return false
}

// Field is one field of a control header as three witnesses give it. A witness
// that does not exist for the finding is the empty string.
type Field struct {
	Name    string `json:"name"`
	Header  string `json:"header"`            // what the header in place says
	Backup  string `json:"backup"`            // what its backup says
	Differs bool   `json:"differs,omitempty"` // the two contradict each other, or the header what else is known
}

// Span is a half-open range of addresses: [Start, End).
type Span struct {
	Start, End Addr
}

// Len returns the length of the span in bytes.
func (s Span) Len() uint64 { return uint64(s.End - s.Start) }

// MarshalJSON encodes the span as a pair of hexadecimal strings.
func (s Span) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `["%s","%s"]`, s.Start, s.End), nil
}

// Memory is a piece of memory's contents.
type Memory struct {
	Addr  Addr
	Bytes []byte // in ascending order of address, whatever the byte order of words
}

// MarshalJSON encodes the bytes in hexadecimal.
func (m Memory) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"addr":"%s","bytes":"%x"}`, m.Addr, m.Bytes), nil
}

// Finding is one thing found wrong with a heap. It is a value: it stays valid
// after the heap has changed.
type Finding struct {
	Kind Kind   `json:"kind"`
	Pool string `json:"pool,omitempty"` // the pool's name
	Op   string `json:"op,omitempty"`   // what noticed it: "alloc", "free", "realloc", "check", ...
	// Source is where a device's report was read, "console.log:81"; empty in
	// a live pool.
	Source string `json:"source,omitempty"`
	// Boot counts the restarts of the device before the report, as
	// Snapshot.Boot does.
	Boot int `json:"boot,omitempty"`
	// Task is the name of the task that ran when it was noticed, which need
	// not be the one that did it; empty: unknown.
	Task string `json:"task,omitempty"`

	// Node is the start of the node concerned, as memused names it.
	Node Addr `json:"node,omitempty"`
	// Pointer is what the caller passed, Expected what it should have been
	// (0: cannot be told). Wild pointers only.
	Pointer  Addr `json:"pointer,omitempty"`
	Expected Addr `json:"expected,omitempty"`

	// Fields compares the damaged header with its backup, field by field.
	Fields []Field `json:"fields,omitempty"`
	// Span is the overwritten range as far as the evidence shows: from the
	// first to the last byte known to be wrong.
	Span Span `json:"span,omitzero"`
	// Reach says in words how far the damage goes and what the overwriting
	// bytes look like.
	Reach string `json:"reach,omitempty"`

	// Subject is the node concerned as restored or as believed; nil if
	// nothing is known about it.
	Subject *Node `json:"subject,omitempty"`
	// Previous is the node physically in front of the damage.
	Previous *Node `json:"previous,omitempty"`
	// Culprit is the node whose user most likely did it; nil: cannot be told.
	Culprit       *Node  `json:"culprit,omitempty"`
	CulpritReason string `json:"culprit_reason,omitempty"`

	// Recovered says that nothing that the heap needs is lost: what was damaged
	// has been, or can be, restored exactly. Call stacks, of which allocators
	// keep no second copy, may be gone; the node then has none.
	Recovered bool `json:"recovered"`
	// Repaired says that whoever reports it has also put it right, as far as
	// that was possible.
	Repaired bool `json:"repaired,omitempty"`
	// Detail is what else there is to say, in a sentence.
	Detail string `json:"detail,omitempty"`
	// Repair says in a sentence what a repair of the dump restores, value by
	// value; empty: not known, or nothing.
	Repair string `json:"repair,omitempty"`
	// Cause says in a sentence what most likely happened.
	Cause string `json:"cause,omitempty"`
	// Unseen says, a sentence each, what whoever reported it could not see or
	// has not checked, so that nobody takes silence for health.
	Unseen []string `json:"unseen,omitempty"`
	// Partial is empty for a complete report; otherwise it says what is
	// missing and why.
	Partial string `json:"partial,omitempty"`
	// Memory is the contents of memory near the damage, as far as the report
	// shows it.
	Memory []Memory `json:"memory,omitempty"`
	// Owners names the owners of the nodes above, as far as they are known.
	Owners map[Owner]string `json:"owners,omitempty"`

	// Stack is the call stack of the operation that noticed it; empty where
	// that was a check of the whole heap.
	Stack Stack `json:"stack"`
	// Frames are the frame pointers of the functions that Stack returns into,
	// level by level, where the report shows them: 0 unknown, else nil.
	Frames []Addr `json:"frames,omitempty"`
	// FirstFree is the call stack of the first free, in a double free.
	FirstFree Stack `json:"first_free,omitempty"`
}

// String returns Summary, so that a finding prints as a sentence.
func (f Finding) String() string { return f.Summary() }

// Summary returns the finding as one line, without stacks and without Repair.
func (f Finding) Summary() string {
	var b strings.Builder
	b.WriteString(string(f.Kind))
	if f.Op != "" {
		fmt.Fprintf(&b, " noticed by %s", f.Op)
	}
	if f.Pool != "" {
		fmt.Fprintf(&b, " in pool %s", f.Pool)
	}
	switch {
	case f.Kind.WildPointer() && f.Kind != NilPointer && f.Pointer == 0 && f.Node != 0: // the report names the node only
		fmt.Fprintf(&b, ": node %s", f.Node)
	case f.Kind.WildPointer():
		fmt.Fprintf(&b, ": the pointer given is %s", f.Pointer)
		if f.Expected != 0 {
			fmt.Fprintf(&b, ", the pointer should be %s", f.Expected)
		}
	case f.Node != 0:
		fmt.Fprintf(&b, ": node %s", f.Node)
		if f.Span.Len() > 0 {
			fmt.Fprintf(&b, ", %d bytes overwritten at [%s, %s)", f.Span.Len(), f.Span.Start, f.Span.End)
		}
		switch {
		case f.Recovered && f.Repaired:
			b.WriteString(", restored")
		case f.Recovered && f.Kind != PastEnd: // nothing was written
			b.WriteString(", can be restored")
		}
	}
	if f.Detail != "" {
		b.WriteString(": ")
		b.WriteString(f.Detail)
	}
	if f.Culprit != nil {
		fmt.Fprintf(&b, "; probable culprit: node %s", f.Culprit.Addr)
		if f.CulpritReason != "" {
			fmt.Fprintf(&b, " (%s)", f.CulpritReason)
		}
	}
	return b.String()
}

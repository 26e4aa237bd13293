// Package heap is the vocabulary every other package speaks: nodes, stacks,
// snapshots and findings of a heap whose allocator keeps a control header per
// node.
//
// Sources (a live pool, a console log, a RAM dump) produce these values,
// analyses read them, outputs print them. The package holds values only: it
// depends on nothing, locks nothing, and its values may be copied and shared
// freely as long as nobody writes to them.
package heap

import (
	"fmt"
	"iter"
	"math"
	"strconv"
	"time"
)

// Addr is an address in the observed program or device, which need not be the
// one that runs this code: 32-bit addresses are zero-extended. It prints, and
// is encoded in JSON, as 0x-prefixed hexadecimal.
type Addr uint64

// String formats a as 0x-prefixed lower-case hexadecimal without padding.
func (a Addr) String() string { return "0x" + strconv.FormatUint(uint64(a), 16) }

// MarshalText implements encoding.TextMarshaler.
func (a Addr) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It accepts any base that
// strconv.ParseUint understands with base 0.
func (a *Addr) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 0, 64)
	if err != nil {
		return fmt.Errorf("heap: address %q: %w", b, err)
	}
	*a = Addr(v)
	return nil
}

// Stack is a recorded call stack: link-register values, that is return
// addresses, LR[0] being the innermost recorded level. Levels that were asked
// for but not there (the stack was shallower) are absent, not zero.
type Stack []Addr

// Key returns a string that is equal for equal stacks only, for use as a map
// key. It is not meant to be read.
func (s Stack) Key() string {
	b := make([]byte, 0, 8*len(s))
	for _, a := range s {
		b = append(b, byte(a>>56), byte(a>>48), byte(a>>40), byte(a>>32), byte(a>>24), byte(a>>16), byte(a>>8), byte(a))
	}
	return string(b)
}

// Equal reports whether s and t hold the same addresses in the same order.
func (s Stack) Equal(t Stack) bool {
	if len(s) != len(t) {
		return false
	}
	for i := range s {
		if s[i] != t[i] {
			return false
		}
	}
	return true
}

// Frame is one resolved level of a call stack. An address resolves to several
// frames where the compiler inlined functions into each other; all but the
// outermost of them are marked Inlined.
type Frame struct {
	Addr     Addr   `json:"addr"`
	Function string `json:"function"`       // empty: unknown
	File     string `json:"file,omitempty"` // empty: unknown
	Line     int    `json:"line,omitempty"` // 0: unknown
	Inlined  bool   `json:"inlined,omitempty"`
}

// String formats f as "function (file:line)", leaving out what is unknown; a
// frame about which nothing is known prints as its address.
func (f Frame) String() string {
	name := f.Function
	if name == "" {
		name = f.Addr.String()
	}
	if f.File == "" {
		return name
	}
	return name + " (" + f.File + ":" + strconv.Itoa(f.Line) + ")"
}

// A Symbolizer resolves return addresses.
type Symbolizer interface {
	// Frames returns the frames of one return address, innermost first. It
	// never returns an empty slice: an address that cannot be resolved gives
	// one frame with nothing but Addr set.
	Frames(lr Addr) []Frame
}

// State is what a node is at the time of observation.
type State uint8

// The states of a node.
const (
	Used State = iota
	Free
	Quarantined // damaged beyond trust; never handed out again
)

// String returns the lower-case name of the state.
func (s State) String() string {
	switch s {
	case Used:
		return "used"
	case Free:
		return "free"
	case Quarantined:
		return "quarantined"
	}
	return "state " + strconv.Itoa(int(s))
}

// Owner is the small integer tag an allocation may carry: a task or module ID
// on LiteOS, a tag registered with the pool in a Go program. 0 is nobody.
type Owner uint32

// Node is one node of a heap.
type Node struct {
	// Addr is the start of the node, as memused prints it: the backup of the
	// next node's header included, where there is one. It names the node.
	Addr Addr `json:"addr"`
	// Payload is the address the user of the memory holds; 0: unknown.
	Payload Addr `json:"payload,omitempty"`
	// Size is the payload in bytes as it was asked for; 0: unknown.
	Size uint64 `json:"size,omitempty"`
	// Total is the node's length in bytes, headers and padding included;
	// 0: unknown.
	Total uint64 `json:"total,omitempty"`
	State State  `json:"-"`
	Owner Owner  `json:"owner,omitempty"`
	// Birth is the tick of the allocation (of the free, in a free node), in
	// units of the snapshot's TickHz; 0: unknown.
	Birth uint64 `json:"birth,omitempty"`
	// Serial tells allocations at one address apart: a sequence number or a
	// cycle count. It says nothing about time; 0: unknown.
	Serial uint64 `json:"serial,omitempty"`
	// Stack is the call stack of the allocation; in a free node, of the free.
	Stack Stack `json:"stack"`
}

// Stats are the totals of a heap. All sizes are bytes. A zero value means
// unknown, except where the heap really is empty.
type Stats struct {
	Size        uint64 `json:"size"`         // bytes under management now
	Used        uint64 `json:"used"`         // in used nodes, headers and the pool's own head included
	Free        uint64 `json:"free"`         // Size - Used, or what is known of it where part of the heap is missing
	LargestFree uint64 `json:"largest_free"` // total length of the largest free node
	UsedNodes   uint64 `json:"used_nodes"`
	FreeNodes   uint64 `json:"free_nodes"`
	Waterline   uint64 `json:"waterline"` // highest Used so far
}

// Fragmentation is the share of free memory that is not in the largest free
// node, from 0 (all free memory in one piece) towards 1.
func (s Stats) Fragmentation() float64 {
	if s.Free == 0 || s.LargestFree >= s.Free {
		return 0
	}
	return 1 - float64(s.LargestFree)/float64(s.Free)
}

// Snapshot is the state of a heap at one moment, as far as its source tells.
type Snapshot struct {
	Label  string    // what a person calls it: "listing 3", "mark"
	Source string    // where it comes from: "leak-series.log:106", "pool cache"
	Pool   string    // the pool it shows, where the source has several
	Time   time.Time // when it was taken; zero: unknown
	Tick   uint64    // the heap's tick when it was taken; 0: unknown
	TickHz uint64    // ticks a second; 0: unknown
	// Boot counts the restarts of the device that the source shows before the
	// snapshot. A node of one boot is never the same as a node of another.
	Boot int
	// Marks are those of the texts its reader was told to look for that the
	// source shows after the snapshot before and in front of this one.
	Marks  []string
	Nodes  []Node // in ascending order of address
	Owners map[Owner]string
	// Stats are the totals as the source last told them before this snapshot
	// was complete.
	Stats Stats
	// Partial is empty for a complete snapshot; otherwise it says what is
	// missing and why ("cut after 212 nodes").
	Partial string
	// Missing is how many used nodes at least, at places unknown, a snapshot
	// lacks in which nothing else is wrong, because their rows were damaged for
	// example; Partial says it in words. It is 0 where something else is wrong
	// as well: a snapshot that was cut lacks an unknown number.
	Missing int
}

// OwnerName returns the name of o, its number where it has no name, and "" for
// owner 0 without a name.
func (s *Snapshot) OwnerName(o Owner) string {
	if n, ok := s.Owners[o]; ok {
		return n
	}
	if o == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(o), 10)
}

// Age returns how long before the snapshot n was born, and whether that is known.
func (s *Snapshot) Age(n *Node) (age time.Duration, ok bool) {
	if s.TickHz == 0 || n.Birth == 0 || s.Tick < n.Birth {
		return 0, false
	}
	ns := float64(s.Tick-n.Birth) / float64(s.TickHz) * float64(time.Second)
	if ns >= math.MaxInt64 {
		return 0, false // not a tick
	}
	return time.Duration(ns), true
}

// A Source yields the snapshots it holds in the order in which they were
// taken. After an error it yields nothing more; what it yielded before stands.
type Source interface {
	Snapshots() iter.Seq2[*Snapshot, error]
}

// Mapping is a piece of the observed program as it lies in memory.
type Mapping struct {
	Start, Limit Addr   // [Start, Limit)
	Offset       uint64 // of Start in File
	File         string // the program's file as it was given
	BuildID      string // in hexadecimal; empty: none
}

// Package reach tells which used nodes of a heap nothing points to any more:
// conservative reachability over a memory image, as garbage collectors and
// valgrind's leak check do it.
//
// # What counts as a pointer
//
// Every word, of Options.PointerSize bytes at an address that is a multiple of
// it, whose value lies in a node. A word does not say that it is a pointer, so a
// number that looks like an address keeps a node alive: what is reported as
// unreferenced was really referenced by nothing that was looked at, but not all
// that leaks is reported. Pointers that are stored in another form (packed,
// exclusive-ored, as an index) are not seen; Options.Unaligned looks at every
// byte offset.
//
//	         Node.Addr        Node.Payload                      Addr+Total
//	             |                 |                                |
//	             [ backup | header | payload, padding               ][ next node
//	a pointer to  ^ ^ ^ ^ ^ ^ ^ ^ ^                                    "header"
//	                               ^                                   "start of payload"
//	                                ^ ^ ^ ^ ^ ^ ^ ^ ^ ^ ^ ^ ^ ^ ^ ^    "inside"
//	                                                                ^  belongs to the next node
//
// # What is scanned
//
// First the roots: memory that the program itself could reach without the heap,
// and registers. Of them the pools are cut out, for in firmware a pool is an
// array in .bss, and its free lists and headers point to all nodes. Then the
// payload of each node found, and so on: breadth first, so that Result.Path is
// short. Headers, backups and free nodes are never scanned. What a walk could
// not interpret (quarantined nodes, gaps between nodes) is scanned as if it were
// a root, so that damage makes no false leaks; Result.Notes say so.
//
// What was not reached is lost. A lost node that no other lost node points to
// is Unreferenced, the head of what is lost: freeing it, and what hangs on it,
// would give all back. What is found from it is Indirect. Lost nodes that point
// to each other in a circle which nothing else leads to count as one loss, with
// the one at the lowest address as its head.
//
// # How
//
// Nodes are entries of parallel arrays, numbered in ascending order of address.
// An entry ends where the next one begins; what lies between nodes has entries
// of its own. A table gives, for every 64 bytes of a pool (more in sparse
// ones), the entry that they begin in. Words are sieved without branches into a
// batch, and a batch is looked up step by step, all words at each step, so that
// the processor waits for many cache lines at a time instead of one after the
// other. Nothing recurses.
//
// Memory: 8 bytes for the address of an entry, 4 for the length of its head, 4
// for what it was reached from, 1 for its state, up to 4 for the queue and up to
// 8 for the table: at most 29 bytes a node, 25 of which a Result keeps, and a
// fixed 40 KiB. The length of the first three arrays is estimated from the first
// nodes, with an eighth to spare; where that was too little, they take up to
// twice as much while they grow.
package reach

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/heapwright/heapwright/heap"
)

// A Pool is a heap as this package needs it.
type Pool struct {
	Name string // for notes; empty: it is called by its address
	// Span is the memory of the pool, its head included. It is cut out of all
	// roots.
	Span heap.Span
	// Walk calls visit with each node, used or not, in ascending order of
	// address, until it returns false. The node may be overwritten by the next
	// one. It is called once.
	Walk func(visit func(*heap.Node) bool)
}

// A Root is where a search begins: memory, or a value such as a register's.
type Root struct {
	Name string
	// Span is the memory. What is not in the image, or in a pool, is left out.
	Span heap.Span
	// Value is a value that may be a pointer; only if Span is empty.
	Value heap.Addr
}

// Options say how memory is read.
type Options struct {
	PointerSize int              // in bytes: 4 or 8
	Order       binary.ByteOrder // of words; nil: little endian
	// Unaligned looks for pointers at every byte offset, which takes up to
	// twice as long, and finds more that are none.
	Unaligned bool
	// Progress, if not nil, is called from time to time with the bytes that
	// were scanned and those that will be. The latter grows when lost nodes
	// are found, which are scanned again.
	Progress func(done, total uint64)
}

// State is what the search has found out about a place.
type State uint8

// The states of a place. Those from Reachable on are those of used nodes.
const (
	Outside      State = iota // in no pool
	Allocator                 // in a pool, but in no node: the pool's head or end
	Free                      // in a free node
	Quarantined               // damaged: unknown, and scanned as a root
	Reachable                 // a chain of pointers leads from a root to it
	Unreferenced              // lost, and no other lost node leads to it; or one of a circle of those
	Indirect                  // lost, and only lost nodes lead to it

	// While the search runs:
	unseen  // used, not reached yet
	fresh   // reached, not scanned yet
	pointed // the same, and another unseen node points to it
	circled // reached from a circle of lost nodes
)

// String returns the state in words.
func (s State) String() string {
	switch s {
	case Outside:
		return "outside"
	case Allocator:
		return "allocator"
	case Free:
		return "free"
	case Quarantined:
		return "quarantined"
	case Reachable:
		return "reachable"
	case Unreferenced:
		return "unreferenced"
	case Indirect:
		return "lost indirectly"
	}
	return "state " + strconv.Itoa(int(s))
}

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Count is a number of nodes and their length, heads and padding included.
type Count struct {
	Nodes uint64 `json:"nodes"`
	Bytes uint64 `json:"bytes"`
}

func (c *Count) add(bytes uint64) { c.Nodes++; c.Bytes += bytes }

// ErrNoRoots is wrapped by the errors of FindRoots and Analyse where nothing is
// known from which nodes could be reached. It does not mean that nodes leak.
var ErrNoRoots = errors.New("no roots")

// A refusal is an error that says in full why the search makes no sense.
type refusal string

func (r refusal) Error() string { return string(r) }
func (r refusal) Unwrap() error { return ErrNoRoots }

const nothingOutside refusal = "the memory holds nothing outside the pool: unreferenced nodes cannot be told; dump the whole RAM"

// A Result is what a search has found. Its methods may be called concurrently,
// as long as the memory stays valid.
type Result struct {
	// Used is all used nodes, each of which is either Reachable, Unreferenced
	// or Indirect. Quarantined is what could not be interpreted, besides: nodes
	// and gaps between nodes.
	Used, Reachable, Unreferenced, Indirect, Quarantined Count
	// RootBytes is the length of the memory that served as roots.
	RootBytes uint64
	// Notes say, a sentence each, what to know about the result.
	Notes []string
	// Partial is empty unless something that belongs to the heap could not be
	// looked at; then it says what. Unreferenced nodes may be referenced from
	// there.
	Partial string

	x     index
	link  []uint32
	roots []Root
	heads []uint32 // entries
	lost  []Count  // through each of them
	mem   memory
	words words
}

// Lost returns all that was not reached.
func (r *Result) Lost() Count {
	return Count{r.Unreferenced.Nodes + r.Indirect.Nodes, r.Unreferenced.Bytes + r.Indirect.Bytes}
}

// State returns what was found out about the node that addr lies in, be it in
// its head or in its payload.
func (r *Result) State(addr heap.Addr) State {
	k, ok := r.x.find(addr)
	if !ok {
		return Outside
	}
	return r.x.state[k]
}

// A Head is an unreferenced node.
type Head struct {
	Addr    heap.Addr `json:"addr"`    // of the node
	Payload heap.Addr `json:"payload"` // its own
	Bytes   uint64    `json:"bytes"`   // its length, head and padding included
	// Indirect is what is lost through it, itself left out. A node to which
	// several heads lead is counted with one of them only.
	Indirect Count `json:"indirect"`
}

// Heads calls yield with each unreferenced node in ascending order of address,
// until it returns false.
func (r *Result) Heads(yield func(Head) bool) {
	for i := range r.heads {
		if !yield(r.head(i)) {
			return
		}
	}
}

// Head returns the head with which the lost node at addr is counted: itself if
// it is one. It is not ok if the node is not lost.
func (r *Result) Head(addr heap.Addr) (h Head, ok bool) {
	k, ok := r.x.find(addr)
	if !ok {
		return Head{}, false
	}
	switch r.x.state[k] {
	case Indirect:
		k = r.link[k]
	case Unreferenced:
	default:
		return Head{}, false
	}
	return r.head(int(r.link[k])), true
}

func (r *Result) head(i int) Head {
	k := r.heads[i]
	return Head{r.x.at[k], r.x.payload(k), r.x.length(k), r.lost[i]}
}

// Analyse looks for the used nodes that no chain of pointers leads to from the
// roots. It fails with an error that wraps ErrNoRoots if that cannot be told,
// because the roots have no memory in the image or because none of them points
// to any node, and with the cause of ctx when that ends.
//
// Nothing that the pools' walks give out is trusted: nodes out of order or
// outside of their pool are left out, those that overlap are cut, and Notes and
// Partial say so.
func Analyse(ctx context.Context, mem heap.RAM, pools []Pool, roots []Root, o Options) (*Result, error) {
	if o.PointerSize != 4 && o.PointerSize != 8 {
		return nil, fmt.Errorf("reach: a pointer of %d bytes: must be 4 or 8", o.PointerSize)
	}
	if len(roots) >= maxEntries {
		return nil, fmt.Errorf("reach: %d roots are too many", len(roots))
	}
	r := &Result{roots: slices.Clone(roots), mem: newMemory(mem, o), words: newWords(o)}
	if err := r.x.build(ctx, &r.mem, pools); err != nil {
		return nil, err
	}
	f := newFlood(ctx, r, o)
	if err := f.run(); err != nil {
		return nil, err
	}
	r.count()
	r.say()
	return r, nil
}

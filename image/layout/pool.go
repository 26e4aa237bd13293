package layout

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
)

// A Pool is a heap found in memory. Its methods may be called concurrently.
type Pool interface {
	// About returns what is known before any node is looked at. It must not be
	// changed.
	About() *About
	// Walk goes over all nodes in ascending order of address, past all damage.
	// visit gets each node, used and free, until it returns false; a node that
	// is known to begin somewhere, and no more, is Quarantined. The node and
	// its stack are overwritten by the next one. report gets what is wrong,
	// each finding once and after the node it is about. Either may be nil;
	// without report nothing is looked at that the way itself does not need.
	Walk(visit func(*heap.Node) bool, report func(*heap.Finding)) Survey
	// Fields names what lies in the head of the node n, which Walk has given
	// out, in ascending order of address: backup, control header, and in a free
	// node the links behind it.
	Fields(n *heap.Node) []Field
}

// About is what is known about a pool as a whole.
type About struct {
	System string // which allocator: one of Systems
	Layout string // the same as configured, in words
	Name   string // the pool's own name; empty: it has none
	// Span is the memory of the pool, its head included.
	Span        heap.Span
	PointerSize int // in bytes
	// Base is where Span began in the process that wrote the memory; 0: not
	// known. If the memory has no addresses of its own, as a raw file, moving it
	// by Base - Span.Start gives every address in it its place in the process.
	Base heap.Addr
	// Symbol is the name of a function of the program, and SymbolAddr where the
	// process had it; empty: none is known. Call stacks are addresses in the
	// process. The difference between SymbolAddr and the function's value in the
	// program's file is what a position-independent executable was moved by when
	// it was loaded: to be subtracted from call stacks before they are looked up
	// in that file. In other executables it is 0; if not, the file is not that of
	// the process.
	Symbol     string
	SymbolAddr heap.Addr
	// Tick is when the memory was dumped as far as the pool tells, TickHz the
	// ticks a second; 0: unknown.
	Tick, TickHz uint64
	Owners       map[heap.Owner]string
	// Sound of the first Seen nodes keep all invariants of the layout.
	Sound, Seen int
	// Evidence says, a sentence each, why the pool is believed to be there and
	// laid out so; Doubts says what else would fit.
	Evidence, Doubts []string

	program heap.Program // the program whose memory it is; nil: not known
}

// Label is what the pool is called where there are several.
func (a *About) Label() string {
	if a.Name != "" {
		return a.Name
	}
	return a.Span.Start.String()
}

// A Field is a part of a node's head.
type Field struct {
	heap.Span
	Name  string // "magic", "backup: checksum"
	Value string // as one reads it
	Wrong string // why it cannot be right; empty: nothing speaks against it
}

// Hints are what is known besides the memory. The zero value is nothing.
type Hints struct {
	// System is the only one to look for; empty: any.
	System string
	// At is where the only pool to be opened begins; 0: look everywhere.
	At heap.Addr
	// Config has the device's configuration, "LOSCFG_MEM_LEAKCHECK": "y"; nil:
	// not known. Symbols that are off are absent or "n".
	Config map[string]string
	// Program describes the program whose memory it is; nil: not known.
	Program heap.Program
	// PointerSize is that of the machine in bytes; 0: not known.
	PointerSize int
}

// A system is an allocator whose heaps can be found.
type system struct {
	name string
	// find returns the pools in memory that the hints allow, and what it has to
	// say about hints that it could not follow.
	find func(mem heap.RAM, h *Hints) (pools []Pool, notes []string)
}

// systems are all that are known, in the order in which they are looked for.
var systems = []system{
	{"heapwright", findHeapwright},
	{"liteos", findLiteOS},
	{"liteos-m", findLiteOSM},
	{"liteos-a", findLiteOSA},
	{"rtthread-memheap", findRTThreadMemheap},
	{"rtthread", findRTThread},
	{"nuttx", findNuttX}, // last: its nodes hold no constants
}

// Systems returns the names of the allocators that Find knows.
func Systems() []string {
	names := make([]string, len(systems))
	for i := range systems {
		names[i] = systems[i].name
	}
	return names
}

// Find returns the pools in memory in ascending order of address, and notes
// about the search, a sentence each, even where it fails. Unless the hints name a system, the first
// one of which there are pools is taken to be the only one: memory is large, and
// payloads look like anything.
func Find(mem heap.RAM, h Hints) (pools []Pool, notes []string, err error) {
	if o, ok := mem.(interface{ Order() binary.ByteOrder }); ok && o.Order() == binary.BigEndian {
		notes = append(notes, "the memory is that of a big-endian machine: heaps are known as they lie on little-endian ones only")
	}
	known := false
	for _, s := range systems {
		if h.System != "" && h.System != s.name {
			continue
		}
		known = true
		found, said := s.find(mem, &h)
		notes = append(notes, said...)
		if len(found) > 0 {
			for _, p := range found {
				p.About().program = h.Program
			}
			return apart(found), notes, nil
		}
	}
	switch {
	case !known:
		return nil, notes, fmt.Errorf("layout: %q is not a known allocator: %s", h.System, strings.Join(Systems(), ", "))
	case h.At != 0:
		return nil, notes, fmt.Errorf("layout: no pool at %s", h.At)
	}
	if text := headless(mem); text != "" && (h.System == "" || h.System == "liteos") {
		notes = append(notes, text)
	}
	return nil, notes, fmt.Errorf("layout: no pool in %d bytes of memory", size(mem))
}

func size(mem heap.RAM) (n uint64) {
	for _, s := range mem.Spans() {
		n += uint64(len(s.Bytes))
	}
	return n
}

// apart sorts pools and, where they overlap, keeps those with the most sound
// nodes.
func apart(pools []Pool) []Pool {
	slices.SortStableFunc(pools, func(a, b Pool) int { return b.About().Sound - a.About().Sound })
	var kept []Pool
	for _, p := range pools {
		s := p.About().Span
		if !slices.ContainsFunc(kept, func(k Pool) bool {
			o := k.About().Span
			return s.Start < o.End && o.Start < s.End
		}) {
			kept = append(kept, p)
		}
	}
	slices.SortFunc(kept, func(a, b Pool) int {
		switch x, y := a.About().Span.Start, b.About().Span.Start; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return kept
}

// Snapshot returns the used nodes of a pool as memused lists them, and the
// totals.
func Snapshot(p Pool) *heap.Snapshot {
	a := p.About()
	s := &heap.Snapshot{Pool: a.Label(), Tick: a.Tick, TickHz: a.TickHz, Owners: a.Owners}
	var room heap.Stack // for the call stacks of many nodes
	survey := p.Walk(func(n *heap.Node) bool {
		if n.State != heap.Free {
			if len(n.Stack) > cap(room)-len(room) {
				room = make(heap.Stack, 0, max(4096, len(n.Stack)))
			}
			from := len(room)
			room = append(room, n.Stack...)
			c := *n
			c.Stack = room[from:len(room):len(room)]
			s.Nodes = append(s.Nodes, c)
		}
		return true
	}, nil)
	s.Stats, s.Partial = survey.Stats, survey.Partial
	return s
}

package reach

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// Evidence is what is known of a program from which roots can be made. All but
// Memory and Pools may be missing.
type Evidence struct {
	Memory heap.RAM
	Pools  []heap.Span // heads included
	// Sections are what the program could write to, as heap.Program.Data gives
	// them.
	Sections []heap.Section
	// Threads are the threads, tasks or processors of which registers are
	// known.
	Threads []Thread
	// Segments are the writable pieces of a core file, with their names: it
	// tells the data of the program and its libraries from code. Of raw memory
	// that is not known, so none must be given.
	Segments []heap.Section
}

// A Thread is a thread, task or processor.
type Thread struct {
	Name      string // "thread 12"
	SP        heap.Addr
	Registers []uint64 // SP may be among them
	// RegisterName returns what Registers[i] is called, "" where that is not
	// known; nil: it never is.
	RegisterName func(i int) string
}

// register names a register: "rbx of thread 12".
func (t *Thread) register(i int) string {
	if t.RegisterName != nil {
		if name := t.RegisterName(i); name != "" {
			return name + " of " + t.Name
		}
	}
	return fmt.Sprintf("register %d of %s", i, t.Name)
}

// Roots are what a search begins with.
type Roots struct {
	List []Root
	// Notes say, a sentence each, what was taken for roots and what is not
	// known.
	Notes []string
	// Partial is empty unless memory of the program that holds pointers is not
	// in the image; then it says what. Nodes referenced from there only count
	// as lost.
	Partial string
}

// redZone is how many bytes below SP a function may use that calls no other.
// Source: System V ABI for AMD64, section 3.2.2; Apple's ABI for arm64 has the
// same.
const redZone = 128

// FindRoots makes roots of what is known: registers; the program's sections;
// stacks, from SP to the end of the segment, or else of the piece of memory, that
// it is in; the other writable segments of a core. Without segments, and without
// threads or any of the sections, nobody knows where stacks or data are: then all
// other memory outside the pools is a root, too, so that what is referenced only
// from there does not count as lost. What several of them name counts once, under
// the first name.
//
// If the memory has nothing outside the pools, it fails with an error that wraps
// ErrNoRoots.
func FindRoots(e Evidence) (*Roots, error) {
	f := rootFinder{Evidence: e, mem: newMemory(e.Memory, Options{PointerSize: 8, Unaligned: true})}
	for _, p := range e.Pools {
		f.claim(p)
	}
	f.pools = slices.Clone(f.claimed)
	if f.left() == 0 {
		return nil, nothingOutside
	}
	f.sections()
	f.threads()
	f.segments()
	f.rest()
	return &f.Roots, nil
}

// rootFinder makes roots.
type rootFinder struct {
	Roots
	Evidence
	mem     memory
	pools   []heap.Span // ascending, disjoint
	claimed []heap.Span // ascending, disjoint, not adjacent
	data    uint64      // bytes of the program's data that are in memory
}

// claim takes a range, so that it becomes no root any more.
func (f *rootFinder) claim(s heap.Span) {
	if s.Start >= s.End {
		return
	}
	from, _ := slices.BinarySearchFunc(f.claimed, s.Start, func(c heap.Span, a heap.Addr) int { return cmp.Compare(c.End, a) })
	to := from
	for ; to < len(f.claimed) && f.claimed[to].Start <= s.End; to++ {
		s.Start, s.End = min(s.Start, f.claimed[to].Start), max(s.End, f.claimed[to].End)
	}
	f.claimed = slices.Replace(f.claimed, from, to, s)
}

// left returns how many bytes of memory nobody has claimed yet.
func (f *rootFinder) left() (n uint64) {
	for _, s := range f.all() {
		for _, part := range f.unclaimed(s) {
			n += f.mem.there(part)
		}
	}
	return n
}

// all returns the spans of the memory.
func (f *rootFinder) all() (spans []heap.Span) {
	for i := range f.mem.spans {
		if s := &f.mem.spans[i]; len(s.Bytes) > 0 {
			spans = append(spans, heap.Span{Start: s.Addr, End: last(s) + 1})
		}
	}
	if n := len(spans); n > 0 && spans[n-1].End == 0 {
		spans[n-1].End-- // the last byte of the address space holds no pointer
	}
	return spans
}

// unclaimed returns what nobody has claimed of a range.
func (f *rootFinder) unclaimed(s heap.Span) []heap.Span {
	from, _ := slices.BinarySearchFunc(f.claimed, s.Start, func(c heap.Span, a heap.Addr) int { return cmp.Compare(c.End, a) })
	to := from
	for to < len(f.claimed) && f.claimed[to].Start < s.End {
		to++
	}
	return subtract(s, f.claimed[from:to])
}

// root makes roots of what nobody has claimed of a range, and returns how many
// bytes of that are in memory and how many are not.
func (f *rootFinder) root(name string, s heap.Span) (there, missing uint64) {
	parts := f.unclaimed(s)
	for _, part := range parts {
		n := f.mem.there(part)
		there += n
		missing += part.Len() - n
	}
	f.claim(s)
	if there > 0 && slices.Equal(parts, subtract(s, f.pools)) {
		parts = []heap.Span{s} // so that offsets are those from its start
	}
	for _, part := range parts {
		if there > 0 {
			f.List = append(f.List, Root{Name: name, Span: part})
		}
	}
	return there, missing
}

// sections takes the program's data for roots.
func (f *rootFinder) sections() {
	if len(f.Sections) == 0 {
		if len(f.Segments) == 0 {
			f.note("no program was given: where its data is, is not known")
		}
		return
	}
	var missing uint64
	var used, lacking names
	for _, s := range f.Sections {
		t, m := f.root(s.Name, s.Span)
		f.data, missing = f.data+t, missing+m
		if t > 0 {
			used.add(s.Name)
		}
		if m > 0 {
			lacking.add(s.Name)
		}
	}
	if f.data > 0 {
		f.note("%d bytes of the program's data are roots: %s", f.data, &used)
	}
	switch {
	case missing == 0:
	case f.data == 0 && len(f.Segments) > 0: // position-independent programs lie elsewhere than their file says
		f.note("none of the program's data lies where its file says: the writable segments stand for it")
	default:
		f.Partial = fmt.Sprintf("%d of %d bytes of the program's data are not in the memory (%s): what is referenced only from there counts as lost",
			missing, f.data+missing, &lacking)
	}
}

// threads takes registers and stacks for roots.
func (f *rootFinder) threads() {
	if len(f.Threads) == 0 {
		f.note("no registers are known: what only a register points to counts as lost")
		return
	}
	var registers int
	var stacks uint64
	var lacking names
	for i := range f.Threads {
		t := &f.Threads[i]
		f.List = append(f.List, Root{Name: "stack pointer of " + t.Name, Value: t.SP})
		for r, v := range t.Registers {
			f.List = append(f.List, Root{Name: t.register(r), Value: heap.Addr(v)})
		}
		registers += len(t.Registers)
		if s, ok := f.around(t.SP); !ok {
			lacking.add(t.Name)
		} else if !f.inPool(t.SP) { // else SP leads to the node that is the stack
			s.Start = max(s.Start, t.SP-min(t.SP, redZone))
			there, _ := f.root("stack of "+t.Name, s)
			stacks += there
		}
	}
	f.note("%s and %d bytes of stacks of %s are roots",
		plain.Plural(registers, "register"), stacks, plain.Plural(len(f.Threads), "thread"))
	if n := len(lacking.seen); n > 0 {
		f.partial("the stacks of %d of %d threads are not in the memory (%s)", n, len(f.Threads), &lacking)
	}
}

// inPool reports whether a stack was allocated from a pool.
func (f *rootFinder) inPool(sp heap.Addr) bool {
	return slices.ContainsFunc(f.Pools, func(p heap.Span) bool { return sp >= p.Start && sp < p.End })
}

// around returns the segment that addr is in, or the piece of memory, which
// must have it.
func (f *rootFinder) around(addr heap.Addr) (heap.Span, bool) {
	all := f.all()
	has := func(s heap.Span) bool { return addr >= s.Start && addr < s.End }
	i := slices.IndexFunc(all, has)
	if i < 0 {
		return heap.Span{}, false
	}
	if j := slices.IndexFunc(f.Segments, func(s heap.Section) bool { return has(s.Span) }); j >= 0 {
		return f.Segments[j].Span, true
	}
	return all[i], true
}

// segments takes what else the program could write to for roots.
func (f *rootFinder) segments() {
	var there uint64
	var used names
	for _, s := range f.Segments {
		if t, _ := f.root(s.Name, s.Span); t > 0 {
			there += t
			used.add(s.Name)
		}
	}
	if there > 0 {
		f.note("%d bytes of writable segments are roots: %s", there, &used)
	}
}

// rest takes all other memory for roots where data or stacks can be anywhere.
func (f *rootFinder) rest() {
	if len(f.Segments) > 0 || len(f.Threads) > 0 && f.data > 0 {
		if n := f.left(); n > 0 {
			f.note("%d bytes of memory belong to none of these and were not searched", n)
		}
		return
	}
	var there uint64
	for _, s := range f.all() {
		t, _ := f.root("memory outside the pools", s)
		there += t
	}
	switch {
	case there == 0:
	case f.data > 0:
		f.note("%d other bytes of memory outside the pools are roots, because stacks can be anywhere in them", there)
	default:
		f.note("%d bytes of memory outside the pools are roots", there)
	}
}

func (f *rootFinder) note(format string, args ...any) {
	f.Notes = append(f.Notes, fmt.Sprintf(format, args...))
}

func (f *rootFinder) partial(format string, args ...any) {
	if f.Partial != "" {
		f.Partial += "; "
	}
	f.Partial += fmt.Sprintf(format, args...)
}

// names are listed in notes, each once, the first few of them.
type names struct {
	first []string
	seen  map[string]bool
}

func (n *names) add(s string) {
	const most = 8
	if n.seen == nil {
		n.seen = map[string]bool{}
	}
	if !n.seen[s] && len(n.first) < most {
		n.first = append(n.first, s)
	}
	n.seen[s] = true
}

// String implements fmt.Stringer.
func (n *names) String() string {
	s := strings.Join(n.first, ", ")
	if more := len(n.seen) - len(n.first); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

package leak

import (
	"cmp"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// Diff is what changed from one listing to another.
type Diff struct {
	From, To []Info
	// Changes holds the call sites with nodes that appeared or disappeared:
	// those that gained the most nodes first, then those with the most new
	// ones, then by name.
	Changes []Change
	// New, Gone, Kept and Unknown count nodes; see Change.
	New, Gone, Kept, Unknown int
	// Sized says that the size of every node that appeared or disappeared is
	// known; NewBytes and GoneBytes are their sums then, and 0 otherwise.
	Sized               bool
	NewBytes, GoneBytes uint64
}

// Change is what changed at one call site.
//
// A node is the same in both listings if its address and its stack are, and
// its birth and serial number where both tell one, and the device did not
// restart in between. Owner and size count in place of a stack that is not
// there. A node whose stack only one of the two shows is the same if its size
// is: the other was overwritten. It counts where the stack says. Without births and serial numbers, memory that was freed
// and allocated again by the same call chain in between passes for kept.
type Change struct {
	Pool   string
	Frames []heap.Frame // innermost first
	Stack  heap.Stack   // one of the raw stacks that resolve to Frames

	New, Gone []heap.Node // in ascending order of address
	Kept      int         // nodes in both
	// Sized says that the size of each of these nodes is known; NewBytes and
	// GoneBytes are their sums then, and 0 otherwise.
	Sized               bool
	NewBytes, GoneBytes uint64
	// Unknown counts nodes of one listing about which the other, being cut,
	// says nothing: those above its last node.
	Unknown int

	key string
}

// Compare returns what changed between two listings, whose snapshots it keeps
// no part of but the nodes that changed.
func Compare(from, to Listing, sym heap.Symbolizer) *Diff {
	d := &Diff{From: infos(from), To: infos(to), Sized: true}
	sites := newGrouper(sym, func(pool string, frames []heap.Frame, stack heap.Stack) *Change {
		return &Change{Pool: pool, Frames: frames, Stack: stack, key: chainKey(frames)}
	})
	before, after := from.pools(), to.pools()
	cutBefore, cutAfter := from.Partial(), to.Partial()
	for _, a := range from {
		i, ok := after[a.Pool]
		if !ok {
			compare(a, absent(a.Pool, cutAfter), sites)
			continue
		}
		b := to[i]
		if why := stopsEarly(a, b, sites); why != "" {
			whole := *b
			b = &whole
			b.Partial, b.Missing = why, 0
			d.To[i].partial(why)
		}
		compare(a, b, sites)
	}
	for _, b := range to {
		if _, ok := before[b.Pool]; !ok {
			compare(absent(b.Pool, cutBefore), b, sites)
		}
	}
	for _, c := range sites.all {
		d.New += len(c.New)
		d.Gone += len(c.Gone)
		d.Kept += c.Kept
		d.Unknown += c.Unknown
		if len(c.New)+len(c.Gone) > 0 {
			c.weigh()
			d.Changes = append(d.Changes, *c)
			d.Sized = d.Sized && c.Sized
			d.NewBytes += c.NewBytes
			d.GoneBytes += c.GoneBytes
		}
	}
	if !d.Sized {
		d.NewBytes, d.GoneBytes = 0, 0
	}
	slices.SortFunc(d.Changes, func(a, b Change) int {
		return cmp.Or(
			-cmp.Compare(len(a.New)-len(a.Gone), len(b.New)-len(b.Gone)),
			-cmp.Compare(len(a.New), len(b.New)),
			cmp.Compare(a.key, b.key),
			cmp.Compare(a.Pool, b.Pool),
		)
	})
	return d
}

// weigh sums up the nodes' sizes.
func (c *Change) weigh() {
	var known, gone bool
	c.NewBytes, known = total(c.New)
	c.GoneBytes, gone = total(c.Gone)
	if c.Sized = known && gone; !c.Sized {
		c.NewBytes, c.GoneBytes = 0, 0
	}
}

// total returns the length of nodes, and whether all of them are known.
func total(nodes []heap.Node) (sum uint64, known bool) {
	known = true
	for i := range nodes {
		n := Bytes(&nodes[i])
		known = known && n != 0
		sum += n
	}
	return sum, known
}

// Partial reports whether one of the two listings is.
func (d *Diff) Partial() bool {
	cut := func(in Info) bool { return in.Partial != "" }
	return slices.ContainsFunc(d.From, cut) || slices.ContainsFunc(d.To, cut)
}

// absent stands for a pool that a listing does not show: an empty one, but one
// that says nothing where the listing is cut.
func absent(pool string, cut bool) *heap.Snapshot {
	s := &heap.Snapshot{Pool: pool}
	if cut {
		s.Partial = "not listed"
	}
	return s
}

// compare merges two snapshots of one pool, both ascending.
func compare(a, b *heap.Snapshot, sites *grouper[Change]) {
	endA, endB := knownUpTo(a), knownUpTo(b)
	gone := func(n *heap.Node) {
		if n.State != heap.Used {
			return
		}
		c := sites.site(a, n)
		if n.Addr > endB {
			c.Unknown++
		} else {
			c.Gone = append(c.Gone, *n)
		}
	}
	appeared := func(n *heap.Node) {
		if n.State != heap.Used {
			return
		}
		c := sites.site(b, n)
		if n.Addr > endA {
			c.Unknown++
		} else {
			c.New = append(c.New, *n)
		}
	}
	i, j := 0, 0
	for i < len(a.Nodes) || j < len(b.Nodes) {
		switch {
		case j == len(b.Nodes) || i < len(a.Nodes) && a.Nodes[i].Addr < b.Nodes[j].Addr:
			gone(&a.Nodes[i])
			i++
		case i == len(a.Nodes) || b.Nodes[j].Addr < a.Nodes[i].Addr:
			appeared(&b.Nodes[j])
			j++
		default:
			if a.Boot == b.Boot && same(&a.Nodes[i], &b.Nodes[j]) {
				switch {
				case a.Nodes[i].State != heap.Used:
				case len(a.Nodes[i].Stack) == 0:
					sites.site(b, &b.Nodes[j]).Kept++
				default:
					sites.site(a, &a.Nodes[i]).Kept++
				}
			} else {
				gone(&a.Nodes[i])
				appeared(&b.Nodes[j])
			}
			i++
			j++
		}
	}
}

func same(a, b *heap.Node) bool {
	if a.State != b.State || !sameBirth(a.Birth, b.Birth) || !sameBirth(a.Serial, b.Serial) {
		return false
	}
	switch bare := len(a.Stack) == 0; {
	case bare != (len(b.Stack) == 0): // one was overwritten, perhaps with the owner
		return Bytes(a) != 0 && Bytes(a) == Bytes(b)
	case bare:
		return a.Owner == b.Owner && Bytes(a) == Bytes(b)
	}
	return a.Stack.Equal(b.Stack)
}

// knownUpTo returns the last address about which a snapshot says something.
func knownUpTo(s *heap.Snapshot) heap.Addr {
	switch {
	case s.Partial == "":
		return ^heap.Addr(0)
	case len(s.Nodes) == 0:
		return 0
	}
	return s.Nodes[len(s.Nodes)-1].Addr
}

package leak

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// Amount is a number of nodes and their bytes, headers included.
type Amount struct {
	Nodes uint64 `json:"nodes"`
	Bytes uint64 `json:"bytes"`
}

func (a *Amount) add(bytes uint64) {
	a.Nodes++
	a.Bytes += bytes
}

func (a Amount) plus(b Amount) Amount { return Amount{a.Nodes + b.Nodes, a.Bytes + b.Bytes} }

// Unreferenced is what a search for pointers in a dump tells about its nodes:
// which of them nothing leads to any more.
type Unreferenced struct {
	// Why says why it cannot be told; empty: it can. If not, nothing else is
	// set.
	Why string
	// Gaps says where pointers may be that were not looked at; empty: roots
	// are complete.
	Gaps string
	// Unaligned says that pointers were looked for at every byte offset, so
	// that none can be hidden in a packed structure.
	Unaligned bool

	// Used is all used nodes. Of them nothing leads to the Direct ones, and
	// only lost ones lead to the Indirect ones.
	Used, Direct, Indirect Amount
	// Sites are the call sites of lost nodes: those with most lost directly and
	// through that first, in bytes.
	Sites []*LostSite
}

// A LostSite is a call site, what is lost of its nodes, and what is lost
// through them.
type LostSite struct {
	Pool   string
	Frames []heap.Frame // innermost first
	Stack  heap.Stack   // one of those that resolve to Frames
	// Used is all its nodes; Direct and Indirect those that are lost.
	Used, Direct, Indirect Amount
	// Through is the nodes, of any site, that are lost with the Direct ones,
	// which are not counted.
	Through Amount
	// Heads are the directly lost nodes through which most is lost, themselves
	// included, in bytes; at most maxHeads.
	Heads []LostHead
	// Verdict is that on the call site, growth considered.
	Verdict Verdict
}

// Lost returns what is lost of the site's own nodes.
func (s *LostSite) Lost() Amount { return s.Direct.plus(s.Indirect) }

// A LostHead is a node that nothing leads to.
type LostHead struct {
	Addr    heap.Addr `json:"addr"`
	Bytes   uint64    `json:"bytes"`   // its length, headers included
	Through Amount    `json:"through"` // what is lost with it, itself left out
}

// all is how many bytes are lost with it.
func (h *LostHead) all() uint64 { return h.Bytes + h.Through.Bytes }

// maxHeads bounds the nodes that are named for each site.
const maxHeads = 8

// Loss is what a search found out about a node.
type Loss uint8

// What can be found out about a node.
const (
	Referenced Loss = iota
	LostDirectly
	LostIndirectly
)

// Losses adds up by call site what a search found out about the nodes of the
// last dump, and joins that with what growth shows. It must not be used from
// several goroutines at a time.
type Losses struct {
	g      *Growth
	finder *Finder
	u      Unreferenced
	sites  map[*Site]*LostSite
	order  []*Site
	// samples are referenced nodes of the sites that grow: those born last.
	samples map[*Site]heap.Node
}

// NewLosses returns an empty sum over the call sites of g, whose stacks sym
// resolves as it did for g.
func NewLosses(g *Growth, sym heap.Symbolizer) *Losses {
	return &Losses{g: g, finder: NewFinder(g, sym), sites: map[*Site]*LostSite{}, samples: map[*Site]heap.Node{}}
}

// Add counts a node of the snapshot, which names its pool as in the listings; of
// a node lost directly, through is what is lost with it. It keeps neither.
func (l *Losses) Add(snap *heap.Snapshot, n *heap.Node, loss Loss, through Amount) {
	if n.State != heap.Used {
		return
	}
	site := l.finder.Site(snap, n)
	s := l.sites[site]
	if s == nil {
		s = &LostSite{Pool: site.Pool, Frames: site.Frames, Stack: slices.Clone(site.Stack)}
		l.sites[site] = s
		l.order = append(l.order, site)
	}
	bytes := Bytes(n)
	l.u.Used.add(bytes)
	s.Used.add(bytes)
	switch loss {
	case LostDirectly:
		l.u.Direct.add(bytes)
		s.Direct.add(bytes)
		s.Through = s.Through.plus(through)
		s.head(LostHead{Addr: n.Addr, Bytes: bytes, Through: through})
	case LostIndirectly:
		l.u.Indirect.add(bytes)
		s.Indirect.add(bytes)
	default:
		if last, ok := l.samples[site]; !ok || n.Birth >= last.Birth {
			l.samples[site] = heap.Node{Addr: n.Addr, Birth: n.Birth}
		}
	}
}

// head keeps h if it is one of the largest.
func (s *LostSite) head(h LostHead) {
	i, _ := slices.BinarySearchFunc(s.Heads, h, func(a, b LostHead) int {
		return cmp.Or(-cmp.Compare(a.all(), b.all()), cmp.Compare(a.Addr, b.Addr))
	})
	if i == maxHeads {
		return
	}
	if len(s.Heads) == maxHeads {
		s.Heads = s.Heads[:maxHeads-1]
	}
	s.Heads = slices.Insert(s.Heads, i, h)
}

// Finish judges the call sites of the growth again, now that it is known which
// of their nodes are lost, sorts them anew, and sets its Unreferenced. gaps and
// unaligned are as in Unreferenced. held returns how nodes are reached, a step
// each, and is asked for one node of each site that seems to leak though
// nothing of it is lost. It must be called once, before baselines and
// suppressions are applied.
func (l *Losses) Finish(gaps string, unaligned bool, held func([]heap.Addr) [][]string) {
	l.u.Gaps, l.u.Unaligned = gaps, unaligned
	known := map[*Site]bool{}
	for i := range l.g.Sites {
		known[&l.g.Sites[i]] = true
	}
	var strangers []Site
	var samples []heap.Addr
	var growing []*Site
	for _, site := range l.order {
		s := l.sites[site]
		l.judge(site, s)
		if s.Verdict = site.Verdict; s.Lost().Nodes > 0 {
			l.u.Sites = append(l.u.Sites, s)
			if !known[site] {
				site.key, site.Sized = chainKey(site.Frames), true
				strangers = append(strangers, *site)
			}
		} else if site.grows() && known[site] {
			samples = append(samples, l.samples[site].Addr)
			growing = append(growing, site)
		}
	}
	for i, steps := range held(samples) {
		growing[i].Held = steps
	}
	l.g.Sites = append(l.g.Sites, strangers...)
	l.g.sort()
	slices.SortStableFunc(l.u.Sites, func(a, b *LostSite) int {
		return cmp.Or(
			-cmp.Compare(a.Direct.Bytes+a.Through.Bytes, b.Direct.Bytes+b.Through.Bytes),
			-cmp.Compare(a.Indirect.Bytes, b.Indirect.Bytes),
		)
	})
	l.g.Unreferenced = &l.u
}

// grows reports whether it is worth knowing what holds the site's nodes.
func (s *Site) grows() bool {
	return leaks(s.Verdict) || s.Verdict == Inconclusive && s.Growth > 0
}

func leaks(v Verdict) bool { return v == Confirmed || v == Suspect }

// judge joins what is lost of a site's nodes with what growth shows; see the
// package comment.
func (l *Losses) judge(site *Site, s *LostSite) {
	lost := s.Lost()
	if lost.Nodes == 0 {
		return
	}
	site.Lost = s
	what := fmt.Sprintf("no pointer leads to %s of its %s", count(s.Direct.Nodes), plain.Plural(int(s.Used.Nodes), "node"))
	switch {
	case s.Direct.Nodes == 0:
		what = fmt.Sprintf("%s of its %s %s lost through others", count(s.Indirect.Nodes), plain.Plural(int(s.Used.Nodes), "node"), isOrAre(s.Indirect.Nodes))
	case s.Indirect.Nodes > 0:
		what += fmt.Sprintf(", and only lost ones to %s", count(s.Indirect.Nodes))
	}
	leaked := uint64(max(0, site.LeakedNodes))
	switch {
	case leaks(site.Verdict):
		if l.u.Gaps == "" && 2*lost.Nodes >= leaked {
			site.Verdict = Confirmed
		}
		site.Reason += "; and " + what
	case s.Direct.Nodes == 0:
		site.join(what)
		return // the site of the head is to blame
	case l.u.Gaps != "":
		site.join(what + "; but " + l.u.Gaps)
		site.Verdict = Inconclusive
	case !l.u.Unaligned:
		site.join(what + "; pointers at odd addresses were not looked for")
		site.Verdict = Suspect
	case s.Direct.Nodes < leastEvents:
		site.join(what + "; so few may be in a register, or with a device")
		site.Verdict = Suspect
	default:
		site.join(what)
		site.Verdict = Confirmed
	}
	if lost.Nodes > leaked && leaks(site.Verdict) {
		site.LeakedNodes = int(min(lost.Nodes, 1<<31-1))
		if site.Sized {
			site.LeakedBytes = max(site.LeakedBytes, lost.Bytes)
		}
	}
}

// lostBytes is what was lost of the site and through it.
func (s *Site) lostBytes() uint64 {
	if s.Lost == nil {
		return 0
	}
	return s.Lost.Direct.Bytes + s.Lost.Through.Bytes
}

// join puts what is lost in front of what growth shows, where that is no leak.
func (s *Site) join(what string) {
	if s.Reason != "" {
		what += "; " + s.Reason
	}
	s.Reason = what
}

func count(n uint64) string { return fmt.Sprint(n) }

func isOrAre(n uint64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

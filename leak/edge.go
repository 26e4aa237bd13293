package leak

import (
	"fmt"
	"math"

	"github.com/heapwright/heapwright/heap"
)

// A device that walks its heap stops without a word where a header is damaged,
// and a log can lose the rest of a listing and go on with the prompt. Such a
// listing looks complete, and everything above its last node looks freed. Its
// edge tells: nodes that die do so by call site and by age, those that are cut
// off by address. An edge compares, within each call site and age, the nodes above
// the last address of a listing, all of which are missing, with those below it;
// and those of sites that lie above with all others as old.
//
// That nothing but chance picks those above, if as many nodes of a site die as
// are missing, has a probability that the hypergeometric distribution tells.
// What one site does is one event (a session that ends frees all that it
// holds), so a site counts for little by itself, and several have to agree.
type edge[S comparable] struct {
	at    heap.Addr // the last node that the listing shows; 0: none
	sites map[cluster[S]]*sides
	old   sides
	nodes int // above and below
	above int
}

// A cluster is nodes of a site that are young, or are not.
type cluster[S comparable] struct {
	site  S
	young bool
}

// sides are a site's nodes on both sides of an edge.
type sides struct{ above, below, died int } // died: of those below

const (
	// siteEvidence bounds what one site counts: as a chance of one in fifty.
	siteEvidence = 3.9
	// enoughEvidence is a chance of one in two thousand.
	enoughEvidence = 7.6
	// leastAbove and leastShare are how many nodes have to be missing, and
	// which share of all: fewer may be anything, and tell little about leaks.
	leastAbove = 8
	leastShare = .04
)

func newEdge[S comparable](s *heap.Snapshot) *edge[S] {
	e := &edge[S]{sites: map[cluster[S]]*sides{}}
	if k := len(s.Nodes); k > 0 {
		e.at = s.Nodes[k-1].Addr
	}
	return e
}

// add counts a node of the listing before. It is young if nothing shows that it
// has lasted.
func (e *edge[S]) add(site S, young bool, addr heap.Addr, survived bool) {
	n := e.sites[cluster[S]{site, young}]
	if n == nil {
		n = &sides{}
		e.sites[cluster[S]{site, young}] = n
	}
	e.nodes++
	if addr > e.at {
		e.above++
		n.above++
		return
	}
	died := 0
	if !survived {
		died = 1
	}
	n.below++
	n.died += died
	if !young {
		e.old.below++
		e.old.died += died
	}
}

// cut reports whether nodes were cut off. Told are the totals that the source
// stated between the listing before and this one, which shows so many used
// nodes.
func (e *edge[S]) cut(told heap.Stats, shown int) bool {
	if e.above < leastAbove || float64(e.above) < leastShare*float64(e.nodes) {
		return false
	}
	witnesses, evidence := 0, 0.0
	hear := func(n sides) {
		x := n.evidence()
		evidence += x
		if x > math.Ln2 {
			witnesses++
		}
	}
	rest := e.old
	for c, n := range e.sites {
		switch {
		case n.above > 0 && n.below > 0:
			hear(*n)
		case !c.young:
			rest.above += n.above
		}
	}
	hear(rest)
	if told.UsedNodes > 0 || told.FreeNodes > 0 {
		missing := float64(told.UsedNodes) - float64(shown)
		if missing <= .1*float64(told.UsedNodes) {
			return false // whatever is not shown is not there
		}
		if missing > .75*float64(e.above) {
			witnesses++
			evidence += siteEvidence
		}
	}
	if e.above == e.nodes {
		return len(e.sites) > 2 // a heap that is in use is never empty
	}
	return witnesses >= 2 && evidence >= enoughEvidence
}

// evidence returns minus the logarithm of the probability that, of so many
// nodes that are gone, chance picks all those above, up to siteEvidence.
func (n sides) evidence() float64 {
	x := 0.0
	for i := 0; i < n.above && x < siteEvidence; i++ {
		x += math.Log(float64(n.above+n.below-i) / float64(n.above+n.died-i))
	}
	return min(x, siteEvidence)
}

// reason says what is missing; before names the listing that shows it.
func (e *edge[S]) reason(before string) string {
	at := "at its beginning"
	if e.at > 0 {
		at = "at " + e.at.String()
	}
	return fmt.Sprintf("stops %s: %s that %s shows above it are missing: cut, or the header behind it is damaged", at, nodes(float64(e.above)), before)
}

// A halt is the listings after the last one that voted, if all of them stop
// early.
type halt struct {
	first, last int // listings
	count       int
	at          heap.Addr
	moved       bool // they do not all stop at the same place
}

// note takes down what a listing is for the next one.
func (p *population) note(s *heap.Snapshot, in *Info, listing int, votes, stops bool) {
	p.unseen = nil
	switch {
	case votes:
		p.told, p.lost, p.halt = s.Stats, 0, halt{}
		if in.Missing > 0 {
			p.lost = float64(in.Missing) / float64(in.Nodes+in.Missing)
		}
	case stops:
		at := newEdge[int](s).at
		if p.halt.count == 0 {
			p.halt = halt{first: listing, at: at}
		}
		p.halt.count++
		p.halt.last = listing
		p.halt.moved = p.halt.moved || at != p.halt.at
	default:
		p.halt.moved = true
	}
}

// hidden returns how many nodes of a site lie where the listings at the end of
// the run, two or more, show nothing any more.
func (p *population) hidden(t *track) int {
	if p.halt.count < 2 || p.halt.moved {
		return 0
	}
	if p.unseen == nil {
		p.unseen = map[*track]int{}
		for i := len(p.nodes) - 1; i >= 0 && p.nodes[i].addr > p.halt.at; i-- {
			p.unseen[p.nodes[i].cohort.track]++
		}
	}
	return p.unseen[t]
}

// stops says why a listing that looks complete is not, if so: the nodes of the
// last one that voted are missing above its edge.
func (p *population) stops(s *heap.Snapshot, in *Info, skipped int) string {
	last := len(p.columns) - 1
	if last < 0 || len(p.nodes) == 0 || p.stamped {
		return ""
	}
	e := newEdge[*track](s)
	if p.nodes[len(p.nodes)-1].addr <= e.at {
		return ""
	}
	i := 0
	for k := range p.nodes {
		old := &p.nodes[k]
		for i < len(s.Nodes) && s.Nodes[i].Addr < old.addr {
			i++
		}
		if old.absent {
			continue
		}
		survived := i < len(s.Nodes) && s.Nodes[i].State == heap.Used && old.is(&s.Nodes[i], origin(&s.Nodes[i]))
		e.add(old.cohort.track, old.cohort.born == last, old.addr, survived)
	}
	var told heap.Stats
	if s.Stats != p.told {
		told = s.Stats
	}
	if !e.cut(told, in.Nodes) {
		return ""
	}
	return e.reason(fmt.Sprintf("listing %d", p.columns[last].number+skipped))
}

// stopsEarly says why the second of two listings is not complete although it
// looks so; "" if it is.
func stopsEarly(a, b *heap.Snapshot, sites *grouper[Change]) string {
	if a.Partial != "" || b.Partial != "" || a.Boot != b.Boot {
		return ""
	}
	e := newEdge[*Change](b)
	if k := len(a.Nodes); k == 0 || a.Nodes[k-1].Addr <= e.at {
		return ""
	}
	i, shown := 0, info(b).Nodes
	for k := range a.Nodes {
		n := &a.Nodes[k]
		if n.State != heap.Used {
			continue
		}
		if n.Serial != 0 {
			return ""
		}
		for i < len(b.Nodes) && b.Nodes[i].Addr < n.Addr {
			i++
		}
		e.add(sites.site(a, n), true, n.Addr, i < len(b.Nodes) && b.Nodes[i].Addr == n.Addr && same(n, &b.Nodes[i]))
	}
	var told heap.Stats
	if a.Stats != b.Stats {
		told = b.Stats
	}
	if !e.cut(told, shown) {
		return ""
	}
	return e.reason("the listing before")
}

package leak

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/heapwright/heapwright/heap"
)

// A Series counts the nodes of each call site in one listing after the other.
// It keeps the counts and no nodes, so it needs memory for every pair of a
// site and a listing in which the site has nodes. It must not be used from
// several goroutines at a time.
type Series struct {
	sites    *grouper[Site]
	listings [][]Info
	skipped  int
}

// Site is a call site and its nodes over the listings.
type Site struct {
	Pool   string
	Frames []heap.Frame // innermost first
	// Stack is one of the raw stacks that resolve to Frames: the first seen.
	Stack heap.Stack
	// Counts has an entry for each listing in which the site has nodes, in
	// ascending order.
	Counts []Count
	// Sized says that the size of every node is known, so that bytes mean
	// something.
	Sized bool
	// Growth is the number of nodes in the pool's last compared listing minus
	// that in its first, and 0 without two to compare; GrowthBytes the same in
	// bytes, 0 unless Sized.
	Growth      int
	GrowthBytes int64

	// Verdict is what the listings prove about the site, Reason why, as a
	// clause without a full stop: "83 of 85 mature nodes never died".
	Verdict Verdict
	Reason  string
	// P is the probability that a site whose nodes do die would look like
	// this one; 1 where the test does not apply.
	P float64
	// LeakedNodes is how many nodes born while the listings were taken are
	// past the age at which this site's nodes die; LeakedBytes their bytes,
	// and 0 unless Sized. Both are 0 unless Verdict is Confirmed or Suspect.
	LeakedNodes int
	LeakedBytes uint64
	// NodesPerHour and BytesPerHour are the rates at which the leak grows; 0
	// where the time of the listings is unknown (see Options.Interval), and 0
	// bytes unless Sized.
	NodesPerHour, BytesPerHour float64
	// Interesting is the index in Frames of the first frame that is not a
	// wrapper of the allocation functions: the caller that matters.
	Interesting int
	// Baseline says that a baseline lists the site: the leak is known.
	Baseline bool
	// Suppressed is the line of the suppressions file that covers the site;
	// empty if none does.
	Suppressed string

	last int // nodes in the last compared listing
	key  string
}

// Count is what a site holds in one listing.
type Count struct {
	Listing int // from 1
	Nodes   int
	Bytes   uint64
}

// At returns what the site holds in a listing, counted from 1.
func (s *Site) At(listing int) Count {
	i := sort.Search(len(s.Counts), func(i int) bool { return s.Counts[i].Listing >= listing })
	if i < len(s.Counts) && s.Counts[i].Listing == listing {
		return s.Counts[i]
	}
	return Count{Listing: listing}
}

// Options say how listings are judged. The zero value is the usual way.
type Options struct {
	// Wrappers are patterns (see Wrapper) of functions that only pass an
	// allocation on, besides the well-known ones.
	Wrappers []string
	// Interval is the time between two listings, where the source does not
	// tell when they were taken; 0: unknown.
	Interval time.Duration
}

// NewSeries returns an empty series whose stacks sym resolves.
func NewSeries(sym heap.Symbolizer, o Options) *Series {
	return &Series{sites: newGrouper(sym, func(pool string, frames []heap.Frame, stack heap.Stack) *Site {
		return &Site{Pool: pool, Frames: frames, Stack: stack, Sized: true, key: chainKey(frames)}
	})}
}

// Skip leaves out a listing in front of the first one added, so that reports
// number the listings as the source does.
func (s *Series) Skip() {
	if len(s.listings) == 0 {
		s.skipped++
	}
}

// Add counts the next listing. It keeps neither the snapshots nor their nodes.
func (s *Series) Add(l Listing) {
	s.listings = append(s.listings, infos(l))
	number := len(s.listings)
	for _, snap := range l {
		for i := range snap.Nodes {
			n := &snap.Nodes[i]
			if n.State != heap.Used {
				continue
			}
			site := s.sites.site(snap.Pool, n.Stack)
			if k := len(site.Counts); k == 0 || site.Counts[k-1].Listing != number {
				site.Counts = append(site.Counts, Count{Listing: number})
			}
			c := &site.Counts[len(site.Counts)-1]
			c.Nodes++
			c.Bytes += Bytes(n)
			if Bytes(n) == 0 {
				site.Sized = false
			}
		}
	}
}

// Growth is what a series of listings shows.
type Growth struct {
	// Listings holds, for each listing, what was known of its snapshots.
	Listings [][]Info
	// Skipped is how many listings were left out in front of them. It does not
	// change how listings are numbered here.
	Skipped int
	Pools   []Window // in the order of their first snapshot
	// Sites holds all call sites: the largest growth first, then the most
	// nodes in the last compared listing, then by name.
	Sites []Site
}

// Window says between which listings the growth of a pool was computed:
// between the first and the last complete one. Partial listings are used only
// where there are not two complete ones; what is missing in them then passes
// for freed or for new.
type Window struct {
	Pool        string
	First, Last int // numbers of listings, from 1; equal if there is only one
	Complete    int // listings of the pool that are not partial
	Shown       int // listings of the pool
	// Free is how many bytes were free when they were last told; 0: unknown.
	Free uint64
	// Exhaustion is how long the free memory lasts at the rate at which the
	// pool's leaks grow; 0: unknown or never.
	Exhaustion time.Duration
}

// Conclusive reports whether the growth was computed between two complete
// listings.
func (w Window) Conclusive() bool { return w.Complete >= 2 }

// Conclusive reports whether the growth in any pool was computed between two
// complete listings.
func (g *Growth) Conclusive() bool {
	return slices.ContainsFunc(g.Pools, Window.Conclusive)
}

// Pool returns the window of the named pool.
func (g *Growth) Pool(name string) Window {
	for _, w := range g.Pools {
		if w.Pool == name {
			return w
		}
	}
	return Window{Pool: name}
}

// Has reports whether listing number i, counted from 1, shows the pool.
func (g *Growth) Has(i int, pool string) bool {
	return slices.ContainsFunc(g.Listings[i-1], func(in Info) bool { return in.Pool == pool })
}

// Growth compares what has been added so far.
func (s *Series) Growth() *Growth {
	g := &Growth{Listings: s.listings, Skipped: s.skipped, Pools: windows(s.listings)}
	g.Sites = make([]Site, len(s.sites.all))
	for i, site := range s.sites.all {
		w := g.Pool(site.Pool)
		first, last := site.At(w.First), site.At(w.Last)
		g.Sites[i] = *site
		g.Sites[i].last = last.Nodes
		g.Sites[i].Growth = last.Nodes - first.Nodes
		if site.Sized {
			g.Sites[i].GrowthBytes = int64(last.Bytes - first.Bytes)
		}
	}
	slices.SortFunc(g.Sites, func(a, b Site) int {
		return cmp.Or(
			-cmp.Compare(a.Growth, b.Growth),
			-cmp.Compare(a.last, b.last),
			cmp.Compare(a.key, b.key),
			cmp.Compare(a.Pool, b.Pool),
		)
	})
	return g
}

// Group counts the call sites of a single listing: the most nodes first.
func Group(l Listing, sym heap.Symbolizer) *Growth {
	s := NewSeries(sym, Options{})
	s.Add(l)
	return s.Growth()
}

func windows(listings [][]Info) []Window {
	var all []Window
	find := func(pool string) *Window {
		for i := range all {
			if all[i].Pool == pool {
				return &all[i]
			}
		}
		all = append(all, Window{Pool: pool})
		return &all[len(all)-1]
	}
	for _, l := range listings {
		for _, in := range l {
			w := find(in.Pool)
			w.Shown++
			if in.Partial == "" {
				w.Complete++
			}
		}
	}
	for i, l := range listings {
		for _, in := range l {
			w := find(in.Pool)
			if w.Conclusive() && in.Partial != "" {
				continue
			}
			if w.First == 0 {
				w.First = i + 1
			}
			w.Last = i + 1
		}
	}
	return all
}

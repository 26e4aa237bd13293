package leak

import (
	"slices"
	"sort"
	"time"

	"github.com/heapwright/heapwright/heap"
)

// A Series follows the nodes of each call site from one listing to the next
// and judges the sites. It keeps the nodes of the last complete listing of each
// pool; of those before only how many each site had and, per interval between
// two listings, how many of the nodes born in it were left in each later one.
// It must not be used from several goroutines at a time.
type Series struct {
	options  Options
	sites    *grouper[track]
	pools    map[string]*population // of the run that each pool is in
	listings [][]Info
	skipped  int
	// histories are those of the pools, by name; order holds the same in the
	// order of their first snapshots.
	histories map[string]*history
	order     []*history
}

// A track is a site and what its nodes did in the current run.
type track struct {
	Site
	history    *history
	population *population // the last one that the site had nodes in
	cohorts    []*cohort   // in ascending order of birth
	counts     bool        // nodes without addresses were seen
	past       judgement   // the gravest of runs before; zero: none
	tests      int         // runs in past that counted as tests
}

// Site is a call site and its nodes over the listings.
type Site struct {
	Pool   string
	Frames []heap.Frame // innermost first
	// Stack is one of the raw stacks that resolve to Frames: the first seen.
	Stack heap.Stack
	// Counts has an entry for each listing in which the site has nodes, in
	// ascending order, except those whose Info says Uncounted.
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
	// P is the probability that a site whose nodes do die, or cease to come,
	// would look like this one; 1 where the test does not apply.
	P float64
	// LeakedNodes is how many nodes born while the listings were taken are
	// past the age at which this site's nodes die, or if that is more, how many
	// of them are lost; LeakedBytes their bytes, and 0 unless Sized. Both are 0
	// unless Verdict is Confirmed or Suspect.
	LeakedNodes int
	LeakedBytes uint64
	// NodesPerHour and BytesPerHour are the rates at which the leak grows, since
	// it began or, if it has become faster, lately; 0 where the time of the
	// listings is unknown (see Options.Interval), and 0 bytes unless Sized.
	NodesPerHour, BytesPerHour float64
	// Interesting is the index in Frames of the first frame that is not a
	// wrapper of the allocation functions: the caller that matters.
	Interesting int
	// Baseline says that a baseline lists the site: the leak is known.
	Baseline bool
	// Suppressed is the line of the suppressions file that covers the site;
	// empty if none does.
	Suppressed string
	// Lost is what nothing leads to of the site's nodes in the last dump; nil:
	// nothing is lost, or it is not known.
	Lost *LostSite
	// Held says how one of the site's nodes is reached from the program's
	// variables, a step each, where the site seems to leak and nothing of it is
	// lost: what holds it is what grows. Empty: not known.
	Held []string

	// From and To are the numbers of the listings between which Growth was
	// computed, from 1: the window of the pool, or the run that Verdict is
	// about. Equal if there is only one.
	From, To int

	last int     // nodes in listing To
	rate float64 // leaked nodes per listing
	size float64 // mean of those nodes; 0 unless Sized
	peak int     // most nodes in any listing
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
	// Wrappers are patterns (see CheckWrapper) of functions that only pass an
	// allocation on, besides the well-known ones.
	Wrappers []string
	// Interval is the time between two listings, where the source does not
	// tell when they were taken; 0: unknown.
	Interval time.Duration
}

// NewSeries returns an empty series whose stacks sym resolves.
func NewSeries(sym heap.Symbolizer, o Options) *Series {
	return &Series{options: o, pools: map[string]*population{}, histories: map[string]*history{}, sites: newGrouper(sym, func(pool string, frames []heap.Frame, stack heap.Stack) *track {
		return &track{Site: Site{Pool: pool, Frames: frames, Stack: stack, Sized: true, Interesting: Interesting(frames, o.Wrappers), key: chainKey(frames)}}
	})}
}

// Skip leaves out a listing in front of the first one added, so that reports
// number the listings as the source does.
func (s *Series) Skip() {
	if len(s.listings) == 0 {
		s.skipped++
	}
}

// Add follows the nodes into the next listing. It keeps neither the snapshots
// nor their nodes.
func (s *Series) Add(l Listing) {
	all := infos(l)
	s.listings = append(s.listings, all)
	for i, snap := range l {
		s.add(snap, &all[i], place{len(s.listings), i})
	}
}

func (s *Series) add(snap *heap.Snapshot, in *Info, at place) {
	p, listing := s.population(snap), at.listing
	votes := in.Votes()
	why := ""
	if votes {
		if why = p.stops(snap, in, s.skipped); why != "" {
			in.partial(why)
			votes = false
		}
	}
	p.note(snap, in, listing, votes, why != "")
	if votes {
		p.begin(listing, in)
	}
	h := s.history(in.Pool)
	h.begin(at, in)
	m := merger{population: p, lossy: in.Missing > 0}
	if votes {
		m.spare = slices.Grow(m.spare, len(snap.Nodes))
	}
	for i := range snap.Nodes {
		n := &snap.Nodes[i]
		if n.State != heap.Used {
			continue
		}
		var t *track
		if votes && n.Addr != 0 {
			stack := origin(n)
			old, c := m.survivor(n, stack), (*cohort)(nil)
			if old != nil {
				c = old.cohort
			} else {
				c = m.born(s.sites.site(snap, n), Bytes(n))
			}
			t = c.track
			m.keep(n, stack, old, c)
		} else {
			t = s.sites.site(snap, n)
			t.counts = t.counts || n.Addr == 0
		}
		h.count(t, n, listing)
	}
	if votes {
		m.end()
	}
	h.thin(s)
}

func (s *Series) history(pool string) *history {
	h := s.histories[pool]
	if h == nil {
		h = &history{window: Window{Pool: pool}, stride: 1}
		s.histories[pool] = h
		s.order = append(s.order, h)
	}
	return h
}

// population returns the run of the pool that a snapshot belongs to.
func (s *Series) population(snap *heap.Snapshot) *population {
	p := s.pools[snap.Pool]
	switch {
	case p == nil:
		p = &population{pool: snap.Pool, boot: snap.Boot, stride: 1}
	case p.boot != snap.Boot:
		s.close(p)
		p = &population{pool: p.pool, run: p.run + 1, boot: snap.Boot, stride: 1}
	}
	s.pools[snap.Pool] = p
	return p
}

// count counts a node of a site in the present listing.
func (h *history) count(t *track, n *heap.Node, listing int) {
	if t.history == nil {
		t.history = h
		h.tracks = append(h.tracks, t)
	}
	if k := len(t.Counts); k == 0 || t.Counts[k-1].Listing != listing {
		t.Counts = append(t.Counts, Count{Listing: listing})
		h.counts++
	}
	c := &t.Counts[len(t.Counts)-1]
	c.Nodes++
	bytes := Bytes(n)
	c.Bytes += bytes
	if bytes == 0 {
		t.Sized = false
	}
	t.peak = max(t.peak, c.Nodes)
}

// Growth is what a series of listings shows.
type Growth struct {
	// Listings holds, for each listing, what was known of its snapshots.
	Listings [][]Info
	// Skipped is how many listings were left out in front of them. It does not
	// change how listings are numbered here.
	Skipped int
	Pools   []Window // in the order of their first snapshot
	// Unreferenced is what a search for pointers in the last dump tells; nil:
	// there was none.
	Unreferenced *Unreferenced
	// Aged says that there were too few listings of a pool, and that its sites
	// were judged by the ages of their nodes.
	Aged bool
	// Notes say what limits the answer besides partial and too few listings: a
	// sentence without a full stop each.
	Notes []string
	// Sites holds all call sites: the gravest verdict first, then the fastest
	// leak, in bytes where all sizes are known, then the largest growth, then
	// the most nodes in the last compared listing, then by name.
	Sites []Site
}

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

// Growth judges what has been added so far.
func (s *Series) Growth() *Growth {
	g := &Growth{Listings: s.listings, Skipped: s.skipped}
	for _, h := range s.order {
		g.Pools = append(g.Pools, h.window)
	}
	g.Sites = make([]Site, len(s.sites.all))
	found := s.judge(g)
	for i := range g.Sites {
		site := &g.Sites[i]
		first, last := site.At(site.From), site.At(site.To)
		if j := &found[i]; j.past && site.From == j.from && site.To == j.to {
			first, last = j.ends[0], j.ends[1]
		}
		site.last = last.Nodes
		site.Growth = last.Nodes - first.Nodes
		if site.Sized {
			site.GrowthBytes = int64(last.Bytes - first.Bytes)
		}
	}
	g.Notes = slices.Concat(s.rates(g, found), s.thinning())
	g.sort()
	return g
}

// Group counts the call sites of a single listing: the most nodes first.
func Group(l Listing, sym heap.Symbolizer) *Growth {
	s := NewSeries(sym, Options{})
	s.Add(l)
	return s.Growth()
}

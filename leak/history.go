package leak

import "fmt"

// A history is what a pool's listings were, over all runs.
type history struct {
	window Window
	run    stretch // the present one
	shown  []place // in ascending order
	tracks []*track
	stride int       // of the older listings, the counts of one in so many are kept
	kept   []counted // the listings whose counts are kept
	counts int       // that are kept
	// complete and partial are how many listings there are of each.
	complete, partial int
}

// A counted is a listing whose counts are kept, and how many of its kind,
// complete or partial, were there before.
type counted struct {
	place
	nth int
}

// A place is where in a series the pool is shown.
type place struct {
	listing int // from 1
	index   int // in the listing
}

func (at place) info(s *Series) *Info { return &s.listings[at.listing-1][at.index] }

const (
	// maxExact is of how many listings of a pool the counts are kept. Of more,
	// those of every second one are dropped, and so on.
	maxExact = 1024
	// maxCounts is how many counts of a pool are kept, unless those of fewer
	// than maxColumns listings are more. A slice that holds one more than a
	// power of two takes twice the room.
	maxCounts = 1 << 22
)

// begin takes in what is known of the pool in the next listing.
func (h *history) begin(at place, in *Info) {
	if k := len(h.shown); k == 0 || h.shown[k-1].listing != at.listing {
		h.shown = append(h.shown, at)
		n := &h.partial
		if in.Votes() {
			n = &h.complete
		}
		h.kept = append(h.kept, counted{at, *n})
		*n++
	}
	if h.run.boot != in.Boot || h.window.Runs == 0 {
		h.run = stretch{boot: in.Boot}
		h.window.Runs++
	}
	h.run.add(at.listing, in.Votes())
	w := &h.window
	if h.run.complete >= w.Complete {
		w.Complete, w.Shown = h.run.complete, h.run.shown
		w.First, w.Last = h.run.bounds()
	}
	if in.Stats != (Info{}.Stats) {
		w.Free = in.Stats.Free
	}
}

// thin drops counts if there are too many, until at most half of the listings
// have any: those of partial listings that are not compared, then those of every
// second listing and so on, but for the ends of what is compared.
func (h *history) thin(s *Series) {
	if len(h.kept) <= maxExact && (h.counts <= maxCounts || len(h.kept) < maxColumns) {
		return
	}
	conclusive := h.window.Conclusive()
	most := h.complete
	if !conclusive {
		most += h.partial
	}
	for most/h.stride > len(h.kept)/2 {
		h.stride *= 2
	}
	ends := map[int]bool{}
	for _, listing := range []int{h.window.First, h.window.Last, h.run.first, h.run.last, h.run.whole, h.run.wholeEnd} {
		ends[listing] = true
	}
	dropped := make([]bool, len(s.listings)+1)
	kept := h.kept[:0]
	for _, at := range h.kept {
		in := at.info(s)
		if ends[at.listing] || at.nth%h.stride == 0 && (in.Votes() || !conclusive) {
			kept = append(kept, at)
		} else {
			in.Uncounted, dropped[at.listing] = true, true
		}
	}
	h.kept = kept
	h.counts = 0
	for _, t := range h.tracks {
		left := t.Counts[:0]
		for _, c := range t.Counts {
			if !dropped[c.Listing] {
				left = append(left, c)
			}
		}
		t.Counts = left
		h.counts += len(left)
	}
}

// thinning says whose counts were dropped, and whose lifetimes are followed in
// some of the listings only.
func (s *Series) thinning() []string {
	const most = 5
	var notes []string
	for _, h := range s.order {
		in := ""
		if h.window.Pool != "" {
			in = " of " + h.window.Pool
		}
		if p := s.pools[h.window.Pool]; p != nil && p.stride > 1 {
			notes = append(notes, fmt.Sprintf("nodes%s are followed in every %s listing: shorter lives are not seen", in, ordinal(p.stride)))
		}
		if len(h.kept) < len(h.shown) {
			notes = append(notes, fmt.Sprintf("of the %d listings%s, the counts of %d are kept, fewer of the older ones; those of the others are unknown", len(h.shown), in, len(h.kept)))
		}
		if len(notes) > most {
			return append(notes[:most], "other pools have too many listings, too")
		}
	}
	return notes
}

package leak

import "time"

// Window says between which listings the growth of a pool was computed:
// between the first and the last complete one of a run of the device, that is
// between two restarts. It is the run with the most complete listings, the
// last of several. Partial listings are used only where there are not two
// complete ones; what is missing in them then passes for freed or for new.
type Window struct {
	Pool        string
	First, Last int // numbers of listings, from 1; equal if there is only one
	Complete    int // listings of the pool in the run that are not partial
	Shown       int // listings of the pool in the run
	Runs        int // runs of the device that show the pool
	// Free is how many bytes were free when they were last told; 0: unknown.
	Free uint64
	// Exhaustion is how long the free memory lasts at the rate at which the
	// pool's leaks grow; 0: unknown or never.
	Exhaustion time.Duration
}

// Conclusive reports whether the growth was computed between two complete
// listings.
func (w Window) Conclusive() bool { return w.Complete >= 2 }

// A stretch is the listings of one pool in one run.
type stretch struct {
	boot            int
	first, last     int // listings
	whole, wholeEnd int // complete ones
	complete, shown int
}

func (s *stretch) add(listing int, complete bool) {
	if s.shown++; s.shown == 1 {
		s.first = listing
	}
	s.last = listing
	if complete {
		if s.complete++; s.complete == 1 {
			s.whole = listing
		}
		s.wholeEnd = listing
	}
}

// bounds returns the listings to compare.
func (s *stretch) bounds() (first, last int) {
	if s.complete >= 2 {
		return s.whole, s.wholeEnd
	}
	return s.first, s.last
}

// windows returns the windows of all pools, in the order of their first
// snapshots.
func windows(listings [][]Info) []Window {
	type state struct {
		window Window
		run    stretch // the present one
	}
	var all []*state
	at := map[string]*state{}
	for i, l := range listings {
		for _, in := range l {
			s := at[in.Pool]
			if s == nil {
				s = &state{window: Window{Pool: in.Pool}, run: stretch{boot: in.Boot - 1}}
				at[in.Pool] = s
				all = append(all, s)
			}
			if s.run.boot != in.Boot {
				s.run = stretch{boot: in.Boot}
				s.window.Runs++
			}
			s.run.add(i+1, in.Votes())
			w := &s.window
			if s.run.complete >= w.Complete {
				w.Complete, w.Shown = s.run.complete, s.run.shown
				w.First, w.Last = s.run.bounds()
			}
			if in.Stats != (Info{}.Stats) {
				w.Free = in.Stats.Free
			}
		}
	}
	out := make([]Window, len(all))
	for i, s := range all {
		out[i] = s.window
	}
	return out
}

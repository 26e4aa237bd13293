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

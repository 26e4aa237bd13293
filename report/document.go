package report

import (
	"cmp"
	"io"
	"slices"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// Document is what analyses found, to be written in any of the formats. Nothing
// that writes it changes it.
type Document struct {
	// Growth is what a series of listings shows; nil if none were compared.
	Growth *leak.Growth
	// Findings are what sources reported as damaged or wrong.
	Findings []heap.Finding
	// Symbols resolves the stacks of Findings and of Listing; it may be nil
	// only if there are neither.
	Symbols heap.Symbolizer
	// Warnings put the answer in doubt; Notes say what else the reader should
	// know. Both are in words, of whoever read the sources.
	Warnings, Notes []string

	// FailOn is the least verdict that is a failure, where a format has any, as
	// for leak.Growth.Gate; empty means leak.Confirmed.
	FailOn leak.Verdict
	// Baseline says that Growth was compared with a baseline.
	Baseline bool

	// Listing holds the nodes that Profile describes: of each pool the last
	// complete snapshot. Without it a profile is made of Growth, in which
	// nodes have neither sizes of their own nor owners.
	Listing leak.Listing
	// Mappings say how the observed program lies in memory, for Profile.
	Mappings []heap.Mapping
}

// Text writes the document for people: which call sites leak and why, the
// gravest first, and a report of each finding. A growth of a single listing is
// written as GroupsText does it, behind what a single dump shows.
func Text(w io.Writer, d *Document, o Options) error {
	d = d.relative(o)
	t := newText(w, o)
	notes := d.Notes
	if d.Growth != nil {
		notes = slices.Concat(t.growth(d.Growth), notes)
	}
	if len(d.Findings) > 0 && d.Growth != nil {
		t.WriteByte('\n')
	}
	if len(d.Findings) > 0 || d.Growth == nil {
		t.findings(d.Findings, d.Symbols)
	}
	t.remarks(d.Warnings, notes)
	return t.Flush()
}

// fails reports whether a site's verdict is a failure.
func (d *Document) fails(s *leak.Site) bool {
	least := d.least()
	return s.Verdict == leak.Confirmed && (least == leak.Confirmed || least == leak.Suspect) ||
		s.Verdict == leak.Suspect && least == leak.Suspect
}

func (d *Document) least() leak.Verdict { return cmp.Or(d.FailOn, leak.Confirmed) }

// A view finds quickly what a growth knows of each pool.
type view struct {
	*leak.Growth
	windows map[string]leak.Window
	listed  map[string][]listed
	sources map[string]string // of the last compared listing
}

// listed is a listing that shows a pool.
type listed struct {
	listing int // from 1
	partial bool
	unknown bool // what sites hold there was dropped: it is nil, too
}

func newView(g *leak.Growth) *view {
	v := &view{g, map[string]leak.Window{}, map[string][]listed{}, map[string]string{}}
	for _, w := range g.Pools {
		v.windows[w.Pool] = w
	}
	for i, l := range g.Listings {
		for _, in := range l {
			v.listed[in.Pool] = append(v.listed[in.Pool], listed{i + 1, !in.Votes(), in.Uncounted})
			if v.windows[in.Pool].Last == i+1 {
				v.sources[in.Pool] = in.Source
			}
		}
	}
	return v
}

// ends returns what a site holds in the first and in the last compared listing
// of its pool.
func (v *view) ends(s *leak.Site) (first, last leak.Count) {
	w := v.windows[s.Pool]
	return s.At(w.First), s.At(w.Last)
}

// each calls f for every listing, with nil where the listing lacks the site's
// pool, and where its count is unknown.
func (v *view) each(s *leak.Site, f func(l listed, c *leak.Count)) {
	shown, counts := v.listed[s.Pool], s.Counts
	for i := 1; i <= len(v.Listings); i++ {
		if len(shown) == 0 || shown[0].listing != i {
			f(listed{listing: i}, nil)
			continue
		}
		l := shown[0]
		for shown = shown[1:]; len(shown) > 0 && shown[0].listing == i; shown = shown[1:] {
			l.partial = l.partial || shown[0].partial
		}
		switch {
		case l.unknown:
			f(l, nil)
		case len(counts) > 0 && counts[0].Listing == i:
			f(l, &counts[0])
			counts = counts[1:]
		default:
			f(l, &leak.Count{Listing: i})
		}
	}
}

// verdict returns the verdict on a site; one that nothing has judged is not
// known to be stable.
func verdict(s *leak.Site) leak.Verdict {
	if s.Verdict == "" {
		return leak.Inconclusive
	}
	return s.Verdict
}

// leaks reports whether a site is proven, or suspected, to leak.
func leaks(s *leak.Site) bool { return s.Verdict == leak.Confirmed || s.Verdict == leak.Suspect }

// known reports whether somebody has said that the site is to be tolerated.
func known(s *leak.Site) bool { return s.Baseline || s.Suppressed != "" }

// interesting returns the frames from the first interesting one on, and the
// wrappers in front of it.
func interesting(s *leak.Site) (frames, wrappers []heap.Frame) {
	if i := s.Interesting; i > 0 && i < len(s.Frames) {
		return s.Frames[i:], s.Frames[:i]
	}
	return s.Frames, nil
}

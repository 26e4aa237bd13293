package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/google/pprof/profile"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// Profile writes what is in use in the last compared listing of each pool as a
// profile for go tool pprof, in the gzipped protocol buffer format of
// github.com/google/pprof: objects, and bytes where sizes are known. It is
// symbolized, so that pprof needs no binary and looks for none.
//
// Samples have the labels verdict, pool and task (the owner's name) and the
// numeric label bytes (of one node) where these are known: pprof -tagfocus
// verdict=CONFIRMED shows leaking call sites only. Comments hold what there is
// to note.
func Profile(w io.Writer, d *Document, o Options) error {
	d = d.relative(o)
	p := newProfiler(d)
	switch {
	case d.Listing != nil:
		p.nodes(d)
	case d.Growth != nil:
		p.sites(d.Growth)
	}
	p.finish(d)
	if err := p.CheckValid(); err != nil {
		return fmt.Errorf("report: profile: %w", err)
	}
	return p.Write(w)
}

// profiler collects a profile.
type profiler struct {
	profile.Profile
	mappings  []heap.Mapping // ascending
	functions map[funcKey]*profile.Function
	locations map[heap.Frame]*profile.Location // by the innermost frame
	samples   map[sampleKey]*profile.Sample
	judged    bool // the verdicts mean something
	unsized   bool // there are nodes of unknown size
	sized     bool // there are nodes of known size
}

type funcKey struct{ name, file string }

type sampleKey struct {
	site  *leak.Site
	stack string // of the nodes; a site can have several
	task  string
	size  uint64
}

func newProfiler(d *Document) *profiler {
	p := &profiler{
		judged:    judges(d.Growth),
		mappings:  slices.Clone(d.Mappings),
		functions: map[funcKey]*profile.Function{},
		locations: map[heap.Frame]*profile.Location{},
		samples:   map[sampleKey]*profile.Sample{},
	}
	p.SampleType = []*profile.ValueType{{Type: "inuse_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"}}
	p.DefaultSampleType = "inuse_space"
	slices.SortFunc(p.mappings, func(a, b heap.Mapping) int { return cmp.Compare(a.Start, b.Start) })
	if len(p.mappings) == 0 {
		// Without a mapping, pprof asks for a binary.
		p.mappings = []heap.Mapping{{Limit: ^heap.Addr(0)}}
	}
	for i, m := range p.mappings {
		p.Mapping = append(p.Mapping, &profile.Mapping{
			ID: uint64(i + 1), Start: uint64(m.Start), Limit: uint64(m.Limit), Offset: m.Offset,
			File: plain.Clean(m.File), BuildID: plain.Clean(m.BuildID),
			// All that can be known is in the profile.
			HasFunctions: true, HasFilenames: true, HasLineNumbers: true, HasInlineFrames: true,
		})
	}
	return p
}

// sites makes samples of counts: nodes of a site are of its mean size.
func (p *profiler) sites(g *leak.Growth) {
	v := newView(g)
	for i := range v.Sites {
		s := &v.Sites[i]
		_, last := v.ends(s)
		if last.Nodes == 0 {
			continue
		}
		key := sampleKey{site: s}
		var bytes uint64
		if s.Sized {
			bytes = last.Bytes
			key.size = last.Bytes / uint64(last.Nodes)
			p.sized = true
		} else {
			p.unsized = true
		}
		p.add(key, s.Frames, last.Nodes, bytes)
	}
}

// judges reports whether the verdicts of a growth mean anything.
func judges(g *leak.Growth) bool { return g != nil && len(g.Listings) > 1 }

// nodes makes samples of nodes.
func (p *profiler) nodes(d *Document) {
	sites := leak.NewFinder(d.Growth, d.Symbols)
	stacks := map[string][]heap.Frame{}
	for _, snap := range d.Listing {
		if !snap.Time.IsZero() {
			p.TimeNanos = max(p.TimeNanos, snap.Time.UnixNano())
		}
		for i := range snap.Nodes {
			n := &snap.Nodes[i]
			if n.State != heap.Used {
				continue
			}
			site := sites.Site(snap, n)
			key := sampleKey{site, n.Stack.Key(), snap.OwnerName(n.Owner), leak.Bytes(n)}
			// The addresses may be others than those of the site's frames.
			frames, ok := stacks[key.stack]
			if len(n.Stack) == 0 {
				frames = site.Frames
			} else if !ok {
				frames = leak.Resolve(d.Symbols, n.Stack)
				stacks[key.stack] = frames
			}
			p.unsized = p.unsized || key.size == 0
			p.sized = p.sized || key.size > 0
			p.add(key, frames, 1, key.size)
		}
	}
}

// add counts nodes in a sample.
func (p *profiler) add(key sampleKey, frames []heap.Frame, nodes int, bytes uint64) {
	s, ok := p.samples[key]
	if !ok {
		s = &profile.Sample{Value: []int64{0, 0}, Label: map[string][]string{}, NumLabel: map[string][]int64{}, NumUnit: map[string][]string{}}
		s.Location = p.stack(frames)
		labels := map[string]string{"pool": key.site.Pool, "task": key.task}
		if p.judged {
			labels["verdict"] = string(key.site.Verdict)
		}
		for name, value := range labels {
			if value != "" {
				s.Label[name] = []string{plain.Clean(value)}
			}
		}
		if key.size > 0 {
			s.NumLabel["bytes"], s.NumUnit["bytes"] = []int64{int64(key.size)}, []string{"bytes"}
		}
		p.samples[key] = s
		p.Sample = append(p.Sample, s)
	}
	s.Value[0] += int64(nodes)
	s.Value[1] += int64(bytes)
}

// stack returns the locations of a call chain: one for each address, with the
// functions that are inlined into each other there.
func (p *profiler) stack(frames []heap.Frame) []*profile.Location {
	if len(frames) == 0 {
		frames = []heap.Frame{{Function: "(no call stack)"}}
	}
	var all []*profile.Location
	for len(frames) > 0 {
		n := 1
		for n < len(frames) && frames[n-1].Inlined && frames[n].Addr == frames[0].Addr {
			n++
		}
		all = append(all, p.location(frames[:n]))
		frames = frames[n:]
	}
	return all
}

// location returns the location of one return address.
func (p *profiler) location(frames []heap.Frame) *profile.Location {
	if l, ok := p.locations[frames[0]]; ok {
		return l
	}
	l := &profile.Location{ID: uint64(len(p.Location) + 1)}
	if a := frames[0].Addr; a > 1 {
		l.Address = uint64(a - 1 - a&1) // in the call and not behind it, in Thumb code too
	}
	l.Mapping = p.mapping(heap.Addr(l.Address))
	for _, f := range frames {
		l.Line = append(l.Line, profile.Line{Function: p.function(f), Line: int64(f.Line)})
	}
	p.locations[frames[0]] = l
	p.Location = append(p.Location, l)
	return l
}

// mapping returns the mapping that holds an address, nil if none does.
func (p *profiler) mapping(a heap.Addr) *profile.Mapping {
	i, found := slices.BinarySearchFunc(p.mappings, a, func(m heap.Mapping, a heap.Addr) int { return cmp.Compare(m.Start, a) })
	if !found {
		i--
	}
	if i >= 0 && a < p.mappings[i].Limit {
		return p.Mapping[i]
	}
	return nil
}

// function returns the function of a frame; one without a name is named by its
// address.
func (p *profiler) function(f heap.Frame) *profile.Function {
	key := funcKey{function(f), plain.Clean(f.File)}
	fn, ok := p.functions[key]
	if !ok {
		fn = &profile.Function{ID: uint64(len(p.Function) + 1), Name: key.name, SystemName: key.name, Filename: key.file}
		p.functions[key] = fn
		p.Function = append(p.Function, fn)
	}
	return fn
}

// finish adds what is said about the profile as a whole.
func (p *profiler) finish(d *Document) {
	if p.unsized {
		p.DefaultSampleType = "inuse_objects"
		comment := "the size of some nodes is unknown and counts as 0 in inuse_space"
		if !p.sized {
			comment = "the source tells no sizes: inuse_space is 0 throughout, look at inuse_objects"
		}
		p.Comments = append(p.Comments, comment)
	}
	if p.judged {
		p.Comments = append(p.Comments, verdicts(newView(d.Growth)))
		for _, n := range growthNotes(d.Growth) {
			p.Comments = append(p.Comments, plain.Clean(n))
		}
	}
	for _, n := range slices.Concat(d.Warnings, d.Notes) {
		p.Comments = append(p.Comments, plain.Clean(n))
	}
}

package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/reach"
)

// unreferenced adds to growth what a search for pointers tells about the last
// listing, if that is a dump; source is where the listing was read.
func (v *leaks) unreferenced(cmd *cobra.Command, sources []string, source string, growth *leak.Growth, sym heap.Symbolizer) error {
	d := v.in.kept
	switch {
	case v.in.lastDump == "":
		return nil
	case d != nil && d.name == source: // which may be a pipe
		d.resume(cmd, source)
	case !slices.Contains(sources, source): // a listing in a log, whose source ends with a line
		return nil
	case special(source):
		growth.Unreferenced = &leak.Unreferenced{Why: "they are not looked for, as " + source + " can be read only once"}
		return nil
	default:
		var err error
		if d, err = v.in.openDump(cmd, source); err != nil {
			return err
		}
		defer d.close()
	}
	r, err := v.in.reachability(d, v.unaligned)
	if err != nil {
		return err
	}
	if r.result == nil {
		growth.Unreferenced = &leak.Unreferenced{Why: r.why}
		return nil
	}
	v.in.notes = append(v.in.notes, r.notes()...)
	losses := leak.NewLosses(growth, sym)
	return d.do(func() error {
		for _, p := range d.pools {
			r.count(losses, &heap.Snapshot{Pool: d.poolName(p), Owners: p.About().Owners}, p)
		}
		losses.Finish(r.gaps, v.unaligned, func(samples []heap.Addr) [][]string { return r.paths(d, samples, sym) })
		if !v.unaligned && r.gaps == "" && growth.Unreferenced.Direct.Nodes > 0 {
			v.in.notes = append(v.in.notes, "unreferenced nodes: --unaligned looks for pointers at odd addresses, too, and confirms what is lost without any")
		}
		return nil
	})
}

// count adds up what was found out about the nodes of a pool.
func (r *reachability) count(losses *leak.Losses, snap *heap.Snapshot, p layout.Pool) {
	p.Walk(func(n *heap.Node) bool {
		switch r.result.State(n.Addr) {
		case reach.Unreferenced:
			h, _ := r.result.Head(n.Addr)
			losses.Add(snap, n, leak.LostDirectly, leak.Amount(h.Indirect))
		case reach.Indirect:
			losses.Add(snap, n, leak.LostIndirectly, leak.Amount{})
		default:
			losses.Add(snap, n, leak.Referenced, leak.Amount{})
		}
		return true
	}, nil)
}

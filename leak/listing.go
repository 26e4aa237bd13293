// Package leak compares the snapshots of a heap by call site: which sites hold
// more nodes than before, which nodes are new and which are gone.
//
// A call site is a chain of functions, and of lines where the symbols tell
// them, not of addresses: compilers turn one call into several. Two chains of
// addresses that resolve to the same functions are one site, and their nodes
// are summed; without line numbers that includes two calls in one function.
// Levels that do not resolve count by their address.
//
// Pools are kept apart. They fill up independently, so the same chain in two
// pools is two sites.
//
// Only used nodes count.
package leak

import (
	"iter"
	"time"

	"github.com/heapwright/heapwright/heap"
)

// A Listing is what a source shows of one moment: one snapshot per pool.
type Listing []*heap.Snapshot

// Listings groups snapshots that come one by one: a listing ends where a pool
// comes again. It yields a listing when the next one begins or the source
// ends, and an error after what came before it.
func Listings(source iter.Seq2[*heap.Snapshot, error]) iter.Seq2[Listing, error] {
	return func(yield func(Listing, error) bool) {
		var l Listing
		var failed error
		for s, err := range source {
			if err != nil {
				failed = err
				break
			}
			for _, before := range l {
				if before.Pool == s.Pool {
					if !yield(l, nil) {
						return
					}
					l = nil
					break
				}
			}
			l = append(l, s)
		}
		if len(l) > 0 && !yield(l, nil) {
			return
		}
		if failed != nil {
			yield(nil, failed)
		}
	}
}

// Partial reports whether a snapshot of the listing is.
func (l Listing) Partial() bool {
	for _, s := range l {
		if s.Partial != "" {
			return true
		}
	}
	return false
}

// pool returns the snapshot of the named pool, nil if there is none.
func (l Listing) pool(name string) *heap.Snapshot {
	for _, s := range l {
		if s.Pool == name {
			return s
		}
	}
	return nil
}

// Info is what is kept of a snapshot when its nodes are not.
type Info struct {
	Label, Source, Pool, Partial string // as in heap.Snapshot

	Time  time.Time // zero: unknown
	Nodes int       // used ones
}

func info(s *heap.Snapshot) Info {
	n := 0
	for i := range s.Nodes {
		if s.Nodes[i].State == heap.Used {
			n++
		}
	}
	return Info{s.Label, s.Source, s.Pool, s.Partial, s.Time, n}
}

func infos(l Listing) []Info {
	all := make([]Info, len(l))
	for i, s := range l {
		all[i] = info(s)
	}
	return all
}

// Bytes returns how much memory a node takes: its length with header and
// padding or, where that is unknown, the bytes asked for. 0 is unknown.
func Bytes(n *heap.Node) uint64 {
	if n.Total != 0 {
		return n.Total
	}
	return n.Size
}

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
		seen := map[string]bool{}
		var failed error
		for s, err := range source {
			if err != nil {
				failed = err
				break
			}
			if seen[s.Pool] {
				if !yield(l, nil) {
					return
				}
				l = nil
				seen = map[string]bool{}
			}
			seen[s.Pool] = true
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

// pools returns where in the listing each pool stands.
func (l Listing) pools() map[string]int {
	at := make(map[string]int, len(l))
	for i := len(l) - 1; i >= 0; i-- {
		at[l[i].Pool] = i
	}
	return at
}

// Info is what is kept of a snapshot when its nodes are not.
type Info struct {
	Label, Source, Pool, Partial string // as in heap.Snapshot

	Time  time.Time // zero: unknown
	Nodes int       // used ones

	Missing int // as in heap.Snapshot

	Tick, TickHz uint64     // as in heap.Snapshot
	Boot         int        // as in heap.Snapshot
	Marks        []string   // as in heap.Snapshot
	Stats        heap.Stats // as in heap.Snapshot

	// Uncounted says that what the sites hold in this listing is not known any
	// more: of a long series the counts of some are dropped.
	Uncounted bool
}

func info(s *heap.Snapshot) Info {
	n := 0
	for i := range s.Nodes {
		if s.Nodes[i].State == heap.Used {
			n++
		}
	}
	return Info{
		Label: s.Label, Source: s.Source, Pool: s.Pool, Partial: s.Partial, Time: s.Time, Nodes: n,
		Missing: s.Missing, Tick: s.Tick, TickHz: s.TickHz, Boot: s.Boot, Marks: s.Marks, Stats: s.Stats,
	}
}

// Votes reports whether the snapshot takes part in judging: it is complete but
// for a few nodes, at most a tenth. Of those that a listing lacks at random, so
// few are missing in the next one again that they hardly look like deaths: of
// all nodes one in a hundred, which is half of what passes for none.
func (in *Info) Votes() bool {
	return in.Partial == "" || in.Missing > 0 && (in.Missing*9 <= in.Nodes)
}

// partial adds to what is wrong with the snapshot.
func (in *Info) partial(why string) {
	if in.Partial != "" {
		why = in.Partial + "; " + why
	}
	in.Partial, in.Missing = why, 0
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

package console

import (
	"iter"

	"github.com/heapwright/heapwright/heap"
)

// An Item is one thing that a log holds: exactly one of the two is set.
type Item struct {
	Snapshot *heap.Snapshot
	Finding  *heap.Finding
}

// Items returns everything in the log in the order in which it was complete:
// a report in the middle of a listing comes before the listing. The error is
// what the log's Read returned, with what was being read then yielded before
// it as partial; or a *NoListingError with a Kind if there are no items
// because the log is not text. A log in which there is nothing yields nothing.
//
// Items, Snapshots and Findings consume the same log: what one of them has
// yielded or passed over, the others do not yield again. Breaking out of one
// and calling it again continues.
func (r *Reader) Items() iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		if !r.each(yield) {
			return
		}
		if n := r.none; n != nil && n.Kind != "" && n.Findings == 0 {
			r.none = nil
			yield(Item{}, n)
		}
	}
}

// Snapshots returns the snapshots of the log in order and passes over
// findings; two that differ only in Pool were printed by one command and share
// a label. The error is a *NoListingError if the log holds none, or what the
// log's Read returned; the listing being read at that moment is yielded before
// it as a partial one.
func (r *Reader) Snapshots() iter.Seq2[*heap.Snapshot, error] {
	return func(yield func(*heap.Snapshot, error) bool) {
		whole := r.each(func(i Item, err error) bool {
			return i.Snapshot == nil && err == nil || yield(i.Snapshot, err)
		})
		if n := r.none; whole && n != nil {
			r.none = nil
			yield(nil, n)
		}
	}
}

// Findings returns what the device reported itself about its heap, in order,
// and passes over snapshots. Errors are as those of Items.
func (r *Reader) Findings() iter.Seq2[*heap.Finding, error] {
	return func(yield func(*heap.Finding, error) bool) {
		for i, err := range r.Items() {
			if (i.Finding != nil || err != nil) && !yield(i.Finding, err) {
				return
			}
		}
	}
}

// each yields the items and the error, if any. It reports whether the log is
// over, nobody broke out and there was no error.
func (r *Reader) each(yield func(Item, error) bool) bool {
	for {
		for len(r.ready) > 0 {
			i := r.ready[0]
			r.ready[0] = Item{}
			r.ready = r.ready[1:]
			if !yield(i, nil) {
				return false
			}
		}
		if r.done {
			if err := r.err; err != nil {
				r.err = nil
				yield(Item{}, err)
				return false
			}
			return true
		}
		r.step()
	}
}

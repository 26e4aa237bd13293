package bestfit

import (
	"math/bits"
	"slices"
)

// Depth is how many nodes of one size a Quick holds at most.
const Depth = 15

// Quick holds small nodes that were freed a moment ago and are kept as they
// are, because the next allocation most likely wants the same size: a stack for
// each size below Small, of a cache line, under a bitmap. The zero value is
// empty and ready. It is not safe for concurrent use.
type Quick struct {
	present [Small / 64]uint64
	stacks  [Small]stack
}

type stack struct {
	n    uint32
	refs [Depth]uint32
}

// Len returns the number of nodes held.
func (q *Quick) Len() int {
	n := 0
	for size := q.Best(0); size != 0; size = q.Best(size + 1) {
		n += int(q.stacks[size].n)
	}
	return n
}

// Empty reports whether no node is held.
func (q *Quick) Empty() bool { return q.present == [Small / 64]uint64{} }

// Full reports whether there is no room for another node of that size, as there
// never is for sizes from Small on.
func (q *Quick) Full(size uint32) bool { return size >= Small || q.stacks[size].n >= Depth }

// Push adds the node at ref. There must be room for it.
func (q *Quick) Push(ref, size uint32) {
	s := &q.stacks[size]
	s.refs[s.n] = ref
	if s.n++; s.n == 1 {
		q.present[size/64] |= 1 << (size % 64)
	}
}

// Top returns the node of exactly that size that was pushed last, 0 if there is
// none, and leaves it there. Any size may be asked for.
func (q *Quick) Top(size uint32) uint32 {
	if size >= Small {
		return 0
	}
	s := &q.stacks[size]
	if i := s.n - 1; i < Depth {
		return s.refs[i]
	}
	return 0
}

// Pop drops what Top returns, which must not be 0.
func (q *Quick) Pop(size uint32) {
	s := &q.stacks[size]
	if s.n--; s.n == 0 {
		q.present[size/64] &^= 1 << (size % 64)
	}
}

// Best returns the smallest size of at least size units of which there is a
// node, 0 if there is none.
func (q *Quick) Best(size uint32) uint32 {
	if size >= Small {
		return 0
	}
	w := size / 64
	m := q.present[w] >> (size % 64) << (size % 64)
	for m == 0 {
		if w++; w == Small/64 {
			return 0
		}
		m = q.present[w]
	}
	return w*64 + uint32(bits.TrailingZeros64(m))
}

// Largest returns the largest size of which there is a node, 0 if it is empty.
func (q *Quick) Largest() uint32 {
	for w := len(q.present) - 1; w >= 0; w-- {
		if m := q.present[w]; m != 0 {
			return uint32(w*64 + bits.Len64(m) - 1)
		}
	}
	return 0
}

// of returns the nodes held of that size, the last pushed last.
func (q *Quick) of(size uint32) []uint32 {
	if size >= Small {
		return nil
	}
	return q.stacks[size].refs[:q.stacks[size].n]
}

// Has reports whether the node at ref is held under that size.
func (q *Quick) Has(ref, size uint32) bool { return slices.Contains(q.of(size), ref) }

// Find looks for the node at ref under every size and returns its size, 0 if it
// is not there.
func (q *Quick) Find(ref uint32) uint32 {
	for size := q.Best(0); size != 0; size = q.Best(size + 1) {
		if q.Has(ref, size) {
			return size
		}
	}
	return 0
}

// Remove takes the node at ref out and reports whether it was there.
func (q *Quick) Remove(ref, size uint32) bool {
	s := q.of(size)
	i := slices.Index(s, ref)
	if i < 0 {
		return false
	}
	copy(s[i:], s[i+1:])
	q.Pop(size)
	return true
}

// Any returns a smallest node held and its size; 0, 0 if there is none.
func (q *Quick) Any() (ref, size uint32) {
	if size = q.Best(0); size == 0 {
		return 0, 0
	}
	return q.Top(size), size
}

// Reset empties it.
func (q *Quick) Reset() {
	q.present = [Small / 64]uint64{}
	for i := range q.stacks {
		q.stacks[i].n = 0
	}
}

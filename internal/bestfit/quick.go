package bestfit

import (
	"math/bits"
	"slices"
)

// Depth is how many nodes of one size a Quick holds at most.
const Depth = 16

// Quick holds small nodes that were freed a moment ago and are kept as they
// are, because the next allocation most likely wants the same size: a stack for
// each size below Small, under a bitmap. The zero value is empty and ready. It
// is not safe for concurrent use.
type Quick struct {
	present [Small / 64]uint64
	n       [Small]uint8
	refs    [Small][Depth]uint32
	total   int
}

// Len returns the number of nodes held.
func (q *Quick) Len() int { return q.total }

// Push adds the node at ref and reports whether there was room for it. The size
// must be below Small.
func (q *Quick) Push(ref, size uint32) bool {
	n := q.n[size]
	if n == Depth {
		return false
	}
	q.refs[size][n] = ref
	q.n[size] = n + 1
	q.present[size/64] |= 1 << (size % 64)
	q.total++
	return true
}

// Full reports whether Push would find no room for that size.
func (q *Quick) Full(size uint32) bool { return size >= Small || q.n[size] == Depth }

// Top returns the node of exactly that size that was pushed last, 0 if there is
// none, and leaves it there. Any size may be asked for.
func (q *Quick) Top(size uint32) uint32 {
	if size >= Small || q.n[size] == 0 {
		return 0
	}
	return q.refs[size][(q.n[size]-1)%Depth]
}

// Pop drops what Top returns.
func (q *Quick) Pop(size uint32) {
	q.n[size]--
	q.total--
	if q.n[size] == 0 {
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

// Has reports whether the node at ref is held under that size.
func (q *Quick) Has(ref, size uint32) bool {
	return size < Small && slices.Contains(q.refs[size][:q.n[size]], ref)
}

// Remove takes the node at ref out and reports whether it was there.
func (q *Quick) Remove(ref, size uint32) bool {
	if size >= Small {
		return false
	}
	s := q.refs[size][:q.n[size]]
	i := slices.Index(s, ref)
	if i < 0 {
		return false
	}
	copy(s[i:], s[i+1:])
	q.Pop(size)
	return true
}

// Any returns the smallest node held and its size; 0, 0 if there is none.
func (q *Quick) Any() (ref, size uint32) {
	if size = q.Best(0); size == 0 {
		return 0, 0
	}
	return q.Top(size), size
}

// Reset empties it.
func (q *Quick) Reset() {
	q.present, q.n, q.total = [Small / 64]uint64{}, [Small]uint8{}, 0
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

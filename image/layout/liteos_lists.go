package layout

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// checkHead judges what belongs to no node: the pool's head, its lists of free
// nodes and its totals. What follows from damage to a node that has been
// reported is not reported again.
func (w *walker) checkHead() {
	w.checkSelf()
	var free uint64
	var why string
	if w.survey.Findings > 0 || len(w.survey.Gaps) > 0 || w.survey.Stats.FreeNodes <= maxFollowed || !w.linked() {
		free, why = w.countLists()
	} else {
		free = w.survey.Stats.FreeNodes
	}
	if why == "" && free != w.survey.Stats.FreeNodes && w.survey.Findings == 0 && len(w.survey.Gaps) == 0 {
		why = fmt.Sprintf("the free lists hold %d nodes, the pool has %d free ones", free, w.survey.Stats.FreeNodes)
	}
	if why != "" {
		w.say(&heap.Finding{
			Kind: heap.FreeIndexWrong, Op: "check", Node: w.p.Addr, Detail: why,
			Cause: "a list of free nodes was overwritten, in the pool's head or in a free node",
		})
	}
	w.checkTotals()
}

// checkTotals compares the bytes in use with those that the pool's head counts,
// if all nodes are known.
func (w *walker) checkTotals() {
	if w.o.Used < 0 {
		return
	}
	st := &w.survey.Stats
	at := w.p.Addr + heap.Addr(w.o.Used)
	v, ok := w.m.word(at, 4)
	peak, ok2 := w.m.word(w.p.Addr+heap.Addr(w.o.Peak), 4)
	if !ok || !ok2 {
		return
	}
	st.Waterline = peak
	if w.lost > 0 || len(w.survey.Gaps) > 0 {
		return
	}
	f := &heap.Finding{
		Kind: heap.TotalsWrong, Op: "check", Node: w.p.Addr,
		Cause: "the pool's head was overwritten, or the image was taken in the middle of an operation",
	}
	if v != st.Used {
		b := make([]byte, 4)
		putWord(b, 4, st.Used)
		w.survey.Patches = append(w.survey.Patches, Patch{Addr: at, New: b, Why: "the bytes in use in the pool's head"})
		f.Fields = []heap.Field{{Name: "used", Header: fmt.Sprintf("%#x", v), Backup: fmt.Sprintf("%#x", st.Used), Differs: true}}
		f.Span = heap.Span{Start: at, End: at + 4}
		f.Detail = fmt.Sprintf("the pool's head says that %d bytes are in use, a recount gives %d, which a repair writes there", v, st.Used)
	}
	if peak < st.Used {
		if f.Span.End = at + 8; f.Span.Start == 0 {
			f.Span.Start = at + 4
		}
		f.Detail = joinText(f.Detail, fmt.Sprintf("the waterline in the pool's head, %d bytes, is lower than the %d bytes in use, and cannot be restored", peak, st.Used))
	}
	if f.Detail == "" {
		return
	}
	f.Recovered = peak >= st.Used
	w.say(f)
}

// checkSelf judges the pool's own address and size.
func (w *walker) checkSelf() {
	say := func(off, n int, name string, want uint64) {
		at := w.p.Addr + heap.Addr(off)
		have, ok := w.m.word(at, n)
		if !ok || have == want {
			return
		}
		b := make([]byte, n)
		putWord(b, n, want)
		w.survey.Patches = append(w.survey.Patches, Patch{Addr: at, New: b, Why: "the pool's head"})
		w.say(&heap.Finding{
			Kind: heap.PoolHeadDamaged, Op: "check", Node: w.p.Addr, Recovered: true,
			Fields: []heap.Field{{Name: name, Header: fmt.Sprintf("%#x", have), Backup: fmt.Sprintf("%#x", want), Differs: true}},
			Span:   heap.Span{Start: at, End: at + heap.Addr(n)},
			Detail: fmt.Sprintf("the nodes say what it should be; a repair writes %#x there", want),
			Cause:  "a stray write, or one past the end of what lies in front of the pool in memory: no node lies in front of the pool's head",
		})
	}
	say(0, w.o.Word, "pool", uint64(w.p.Addr))
	say(w.o.PoolSize, 4, "pool size", w.p.Size)
}

// maxFollowed is up to how many free nodes the lists are followed from node to
// node, which costs a cache miss each, when the sum of their links is right.
const maxFollowed = 1 << 16

// A linkSum is 0 when each link to the next free node is answered by that one's
// link back, and leads to a node of the same list. It needs no look at other
// nodes: each node adds its own link forth and takes away the one that should
// lead to it.
type linkSum uint64

// add takes in the free node, or head of a list, whose header lies at own. Nodes
// of that size are in its list.
func (s *linkSum) add(own heap.Addr, prev, next, size uint64) {
	list := uint64(listOf(size))
	*s += linkSum(mix(uint64(own), next, list) - mix(prev, uint64(own), list))
}

// mix makes of a link a number that sums of other links do not give by chance.
func mix(from, to, list uint64) uint64 {
	h := (from ^ list<<56) * 0x9e3779b97f4a7c15
	h = (h ^ h>>32 ^ to) * 0xff51afd7ed558ccd
	h = (h ^ h>>29) * 0xc4ceb9fe1a85ec53
	return h ^ h>>32
}

// linked reports whether the links of all free nodes that were given out, and of
// the heads of the lists, answer each other.
func (w *walker) linked() bool {
	sum := w.links
	ws := heap.Addr(w.o.Word)
	for i := range freeLists {
		head := w.lists + 2*ws*heap.Addr(i)
		prev, ok1 := w.far.word(head, w.o.Word)
		next, ok2 := w.far.word(head+ws, w.o.Word)
		if !ok1 || !ok2 {
			return false
		}
		sum.add(head, prev, next, 16<<i)
	}
	return sum == 0
}

// countLists follows the free lists and counts their nodes. why says what is
// wrong with the first list that is not sound though none of the headers
// concerned has been reported; where it is a single link that is wrong, that is
// reported here.
func (w *walker) countLists() (n uint64, why string) {
	for i := range freeLists {
		var odd string
		if n, odd = w.countList(i, n); odd != "" && !w.relink(i) && why == "" {
			why = odd
		}
	}
	return n, why
}

// countList follows one free list and adds its nodes to n. The list goes on
// behind a header that was reported if that still leads somewhere.
func (w *walker) countList(i int, n uint64) (count uint64, why string) {
	ws := heap.Addr(w.o.Word)
	head := w.lists + 2*ws*heap.Addr(i)
	at := head
	v, ok := w.far.word(at+ws, w.o.Word)
	for {
		next := heap.Addr(v)
		told := w.told(at) || w.told(next)
		odd := func(format string, args ...any) (uint64, string) {
			if told {
				return n, ""
			}
			return n, fmt.Sprintf("free list %d ", i) + fmt.Sprintf(format, args...)
		}
		if !ok { // not in the image, which is no damage
			return n, ""
		}
		if !w.linkable(v) || next < w.start && next != head {
			return odd("leads from %s to %#x, where no free node can be", at, v)
		}
		b := w.far.bytes(next, w.o.Ctl)
		if b == nil { // nor is this
			return n, ""
		}
		if back := word(b, w.o.Word); back != uint64(at) && !told {
			return odd("leads from %s to %s, which points back to %#x", at, next, back)
		}
		if next == head {
			return n, ""
		}
		if size := word(b[w.o.Size:], 4); !told && (size&usedBit != 0 || listOf(size) != i) {
			return odd("holds the header at %s with size and flags %#x", next, size)
		}
		if n++; n > w.survey.Stats.FreeNodes+1 {
			return odd("holds more nodes than are free")
		}
		at, v = next, word(b[ws:], w.o.Word)
	}
}

// told reports whether the header at own has been reported.
func (w *walker) told(own heap.Addr) bool {
	_, ok := slices.BinarySearch(w.hit, own) // they were met in this order
	return ok
}

// listOf returns the number of the free list for nodes of a size in bytes.
func listOf(size uint64) int { return min(max(bits.Len64(size)-5, 0), freeLists-1) }

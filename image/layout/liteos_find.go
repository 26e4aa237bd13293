package layout

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

const (
	// maxPools bounds the pools that are looked for in one image.
	maxPools = 64
	// maxTries bounds the places that are looked at more closely: those with an
	// end node, and as many again with lists of free nodes only.
	maxTries = 1 << 10
)

// findLiteOS finds the pools in memory that the hints allow: where the program's
// variables say; those whose head points to itself and whose end node lies where
// the size in the head says; those chained to them; and those that have lists of
// free nodes in place of an end node.
func findLiteOS(mem heap.RAM, h *Hints) (pools []Pool, notes []string) {
	f := liteFinder{m: newRAM(mem), hints: readLiteHints(h)}
	if h.At != 0 {
		f.hints.enough = least
		f.add(h.At, "")
	} else {
		for _, v := range f.m.variables(h) {
			f.add(v.addr, v.why)
		}
		f.search()
	}
	for _, p := range f.pools {
		pools = append(pools, p)
	}
	return pools, f.hints.notes
}

// A liteFinder collects pools.
type liteFinder struct {
	m     *ram
	hints *liteHints
	pools []*LiteOSPool
}

// add opens the pool at addr and reports whether there is one. why says what else
// speaks for it.
func (f *liteFinder) add(addr heap.Addr, why string) bool {
	for _, p := range f.pools {
		if addr == p.Addr && why != "" {
			p.about.Evidence = append(p.about.Evidence, why)
		}
		if addr == p.Addr || p.solid() && p.holds(addr) {
			return true
		}
	}
	if len(f.pools) >= maxPools {
		return false
	}
	p := f.m.openLiteOS(addr, f.hints)
	if p == nil {
		return false
	}
	if why != "" {
		p.about.Evidence = append(p.about.Evidence, why)
	}
	f.pools = append(f.pools, p)
	return true
}

// holds reports whether addr lies in the pool.
func (p *LiteOSPool) holds(addr heap.Addr) bool {
	return addr >= p.Addr && uint64(addr-p.Addr) < p.Size
}

// solid reports whether most of the nodes looked at are sound. The head of a
// former pool can reach over another that is there now; then it holds few.
func (p *LiteOSPool) solid() bool { return 2*p.about.Sound > p.about.Seen }

// search looks for pools everywhere.
func (f *liteFinder) search() {
	m := f.m
	var doubtful []heap.Addr
	tries := 0
	for i := range m.spans {
		s := &m.spans[i]
		for at := s.Addr; len(f.pools) < maxPools; {
			p, ok := selfPointer(s, at)
			if !ok {
				break
			}
			at = p + 4
			switch ended, can := m.headLike(p); {
			case ended && tries >= maxTries:
			case ended:
				tries++
				if f.add(p, "") {
					at = max(at, f.behind(p))
				}
			case can && len(doubtful) < maxTries && !emptyList(s, p):
				doubtful = append(doubtful, p)
			}
		}
	}
	for _, p := range doubtful {
		_, narrow := m.findLists(p, 4)
		_, wide := m.findLists(p, 8)
		if narrow || wide {
			f.add(p, "")
		}
	}
	for i := 0; i < len(f.pools); i++ {
		p := f.pools[i]
		switch next := p.Next; {
		case next == 0:
		case p.holds(next):
			f.hints.notes = append(f.hints.notes, fmt.Sprintf("the pool at %s, chained to the one at %s, lies in a buffer of that and is not read: it can be by its own address", next, p.Addr))
		default:
			f.add(next, "")
		}
	}
}

// behind returns where the pool ends that p lies in; 0: nothing is certain there.
func (f *liteFinder) behind(p heap.Addr) heap.Addr {
	for _, pool := range f.pools {
		if pool.solid() && pool.holds(p) {
			return pool.Addr + heap.Addr(pool.Size)
		}
	}
	return 0
}

// emptyList reports whether p is more likely the head of an empty list, of which
// memory is full: the word behind it points to p as well.
func emptyList(s *heap.Memory, p heap.Addr) bool {
	b := s.Bytes[p-s.Addr:]
	return len(b) >= 8 && binary.LittleEndian.Uint32(b[4:]) == uint32(p) ||
		len(b) >= 16 && binary.LittleEndian.Uint64(b[8:]) == uint64(p)
}

// headLike reports whether there can be a pool head at p, and whether an end
// node lies where it says that the pool ends.
func (m *ram) headLike(p heap.Addr) (ended, can bool) {
	for _, bits64 := range []bool{false, true} {
		size, ok := m.poolSize(p, bits64)
		if !ok {
			continue
		}
		can = true
		ended = ended || m.endNode(p+heap.Addr(size))
	}
	return ended, can
}

// endNode reports whether the node in front of end is used, no more than a head,
// and holds the magic of its place.
func (m *ram) endNode(end heap.Addr) bool {
	last, ok := m.word(end-4, 4)
	head := heap.Addr(last & sizeMask)
	if !ok || last>>30 != 2 || uint64(head) < 16 || uint64(head) > maxHead || head%4 != 0 {
		return false
	}
	for _, own := range []heap.Addr{head, head / 2} { // without and with a backup in front
		if magic, ok := m.word(end-own, 4); ok && uint32(magic) == ^uint32(end-own) {
			return true
		}
	}
	return false
}

// maxHead is the longest node head there is.
var maxHead = uint64(LiteOS{Bits64: true, LeakCheck: true, LRs: MaxLRs, HeadBackup: true, RecordInfo: true}.Offsets().Head)

// The offsets of the smallest pools there are.
var (
	narrowHead = LiteOS{}.Offsets()
	wideHead   = LiteOS{Bits64: true}.Offsets()
)

// poolSize returns the size that a pool head at p gives, if it can be one.
func (m *ram) poolSize(p heap.Addr, bits64 bool) (uint64, bool) {
	o := &narrowHead
	if bits64 {
		o = &wideHead
	}
	b := m.bytes(p, o.Lists)
	if b == nil || word(b, o.Word) != uint64(p) {
		return 0, false
	}
	size := word(b[o.PoolSize:], 4)
	return size, plausibleSize(p, size, o)
}

func plausibleSize(p heap.Addr, size uint64, o *Offsets) bool {
	return size%uint64(o.Word) == 0 && size >= uint64(o.FirstNode+2*o.Head) && size <= sizeMask && uint64(p)+size > uint64(p) &&
		(o.Word == 8 || uint64(p)+size <= 1<<32)
}

// openLiteOS opens the pool whose head lies at addr, nil if none can be
// recognized there. How it is laid out is found out from what lies there; of what
// holds, the hints choose.
func (m *ram) openLiteOS(addr heap.Addr, h *liteHints) *LiteOSPool {
	all := m.detect(addr, h)
	if h.enough == enough {
		all = slices.DeleteFunc(all, func(c *candidate) bool { return c.cut && c.row < leastRow })
	}
	if len(all) == 0 || all[0].score < h.enough {
		return nil
	}
	best := all[0]
	broken := h.broken(&best.layout)
	for _, c := range all[1:] {
		if b := h.broken(&c.layout); len(b) < len(broken) && c.score >= h.enough && c.sound >= all[0].sound-all[0].sound/4 {
			best, broken = c, b
		}
	}
	p := best.pool(m)
	p.about.program = h.program
	p.about.Evidence = append(p.about.Evidence, h.evidence...)
	if best.score < enough {
		p.about.Doubts = append(p.about.Doubts, "little speaks for a pool: it was looked for at this address only")
	}
	if more := all[0].beyond(best); best.score < all[0].score && more != "" {
		p.about.Doubts = append(p.about.Doubts, fmt.Sprintf("what is known besides the memory decides; by the memory alone %s fits better: %s", all[0].layout, more))
	}
	for _, text := range broken {
		p.about.Doubts = append(p.about.Doubts, text+", but the memory is not like that; what holds there counts")
	}
	for _, c := range all {
		if c != best && c.score == best.score && c.layout != best.layout && len(h.broken(&c.layout)) <= len(broken) {
			p.about.Doubts = append(p.about.Doubts, fmt.Sprintf("%s fits as well", c.layout))
		}
	}
	return p
}

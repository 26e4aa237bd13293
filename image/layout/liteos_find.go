package layout

import (
	"encoding/binary"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

const (
	// maxPools bounds the pools that are looked for in one image.
	maxPools = 64
	// maxTries bounds the places that are looked at more closely: those with an
	// end node, and as many again with lists of free nodes only.
	maxTries = 1 << 10
)

// findLiteOSPools finds the pools in memory, in ascending order of address: those
// whose head points to itself and whose end node lies where the size in the
// head says, those chained to them, and those that have lists of free nodes in
// place of an end node.
func findLiteOSPools(mem heap.RAM) []*LiteOSPool {
	m := newRAM(mem)
	var pools []*LiteOSPool
	add := func(addr heap.Addr) bool {
		for _, p := range pools {
			if addr >= p.Addr && uint64(addr-p.Addr) < p.Size {
				return true // within a pool
			}
		}
		p, err := openLiteOS(mem, addr, nil)
		if err != nil {
			return false
		}
		pools = append(pools, p)
		return true
	}
	var doubtful []heap.Addr
	tries := 0
	for i := range m.spans {
		s := &m.spans[i]
		for at := s.Addr; len(pools) < maxPools; {
			p, ok := selfPointer(s, at)
			if !ok {
				break
			}
			at = p + 4
			switch ended, can := m.headLike(p); {
			case ended && tries >= maxTries:
			case ended:
				tries++
				if !add(p) {
					break
				}
				last := pools[len(pools)-1]
				if end := last.Addr + heap.Addr(last.Size); last.Addr == p && end > at {
					at = end
				}
			case can && len(doubtful) < maxTries:
				doubtful = append(doubtful, p)
			}
		}
	}
	for _, p := range doubtful {
		_, narrow := m.findLists(p, 4)
		_, wide := m.findLists(p, 8)
		if len(pools) < maxPools && (narrow || wide) {
			add(p)
		}
	}
	for i := 0; i < len(pools) && len(pools) < maxPools; i++ {
		if next := pools[i].Next; next != 0 {
			add(next)
		}
	}
	sortPools(pools)
	return pools
}

// findLiteOS finds what the hints allow.
func findLiteOS(mem heap.RAM, h *Hints) (pools []Pool, notes []string) {
	if h.At != 0 {
		if p, err := openLiteOS(mem, h.At, nil); err == nil {
			pools = append(pools, p)
		}
		return pools, nil
	}
	for _, p := range findLiteOSPools(mem) {
		pools = append(pools, p)
	}
	return pools, nil
}

func sortPools(pools []*LiteOSPool) {
	for i := range pools {
		for k := i; k > 0 && pools[k].Addr < pools[k-1].Addr; k-- {
			pools[k], pools[k-1] = pools[k-1], pools[k]
		}
	}
}

// selfPointer returns the first word from at on that holds its own address, or
// the low half of it.
func selfPointer(s *heap.Memory, at heap.Addr) (heap.Addr, bool) {
	at = (at + 3) &^ 3
	off := uint64(at - s.Addr)
	if at < s.Addr || off >= uint64(len(s.Bytes)) {
		return 0, false
	}
	b := s.Bytes[off:]
	want := uint32(at)
	for len(b) >= 16 {
		x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		switch want {
		case uint32(x):
			return at, true
		case uint32(x>>32) - 4:
			return at + 4, true
		case uint32(y) - 8:
			return at + 8, true
		case uint32(y>>32) - 12:
			return at + 12, true
		}
		b, at, want = b[16:], at+16, want+16
	}
	for len(b) >= 4 {
		if binary.LittleEndian.Uint32(b) == want {
			return at, true
		}
		b, at, want = b[4:], at+4, want+4
	}
	return 0, false
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
		last, ok := m.word(p+heap.Addr(size)-4, 4)
		if head := last & sizeMask; ok && last>>30 == 2 && head >= 16 && head <= maxHead && head%4 == 0 {
			ended = true
		}
	}
	return ended, can
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

// openLiteOS opens the pool whose head lies at addr. layout says how it is laid
// out; nil: that is found out from what lies there. It fails if no pool can be
// recognized there.
func openLiteOS(mem heap.RAM, addr heap.Addr, layout *LiteOS) (*LiteOSPool, error) {
	m := newRAM(mem)
	if m.span(addr) == nil {
		return nil, fmt.Errorf("layout: %s is not in the image", addr)
	}
	if layout != nil {
		if err := layout.Validate(); err != nil {
			return nil, err
		}
		c := m.score(addr, *layout)
		if c == nil {
			return nil, fmt.Errorf("layout: no pool of %s at %s: neither its head nor its nodes give its size", layout, addr)
		}
		return c.pool(mem, m, "its layout was given: "+layout.String()), nil
	}
	all := m.detect(addr)
	if len(all) == 0 || all[0].score < enough {
		return nil, fmt.Errorf("layout: no LiteOS pool at %s", addr)
	}
	p := all[0].pool(mem, m, "")
	for _, c := range all[1:] {
		if c.score == all[0].score && c.layout != all[0].layout {
			p.about.Doubts = append(p.about.Doubts, fmt.Sprintf("%s fits as well", c.layout))
		}
	}
	return p, nil
}

package layout

import (
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
	"github.com/heapwright/heapwright/internal/survey"
)

// hwShape is what makes node layouts differ, checksums apart.
type hwShape struct {
	stacks, backup bool
	lrs            int
}

// hwShapes are all shapes that differ in more than how much of the padding of a
// header may hold LRs; of those the one with the most.
var hwShapes = func() (all []hwShape) {
	for _, backup := range []bool{true, false} {
		all = append(all, hwShape{false, backup, 0})
		for lrs := 3; lrs < node.MaxLRs; lrs += 4 {
			all = append(all, hwShape{true, backup, lrs})
		}
		all = append(all, hwShape{true, backup, node.MaxLRs})
	}
	return all
}()

const (
	// hwChain is how many nodes that name each other's lengths are proof enough
	// of a pool whose checksums cannot be verified.
	hwChain = 4
	// hwFar bounds how many nodes of such a chain are counted.
	hwFar = 64
)

// damaged opens a pool whose head h is damaged. If the key of the checksums, which
// is in it, still fits the first nodes, all nodes can be verified; the shape of
// the nodes is the one whose checksums are right. Otherwise it is the shape in
// which nodes that name each other's lengths follow each other furthest.
func (f *hwFinder) damaged(addr heap.Addr, h *node.Head) *heapwrightPool {
	info := h.Believe()
	s := f.m.span(addr)
	memory := aligned(s.Bytes[addr-s.Addr:])
	if n := (uint64(info.End) + node.HeadUnits) * node.Unit; n > uint64(len(memory)) && f.m.span(s.Addr+heap.Addr(len(s.Bytes))) != nil {
		if b := f.from(addr, n); b != nil {
			memory = b
		}
	}
	shapes := append([]hwShape{{info.Stacks, info.Backup, info.LRs}}, hwShapes...)
	for _, s := range shapes {
		p := hwOpen(addr, memory, info, s, h)
		if p != nil && p.keyFits() {
			return f.ending(p)
		}
	}
	var best *heapwrightPool
	most := hwChain - 1
	for _, s := range shapes {
		p := hwOpen(addr, memory, info, s, h)
		if p == nil {
			continue
		}
		p.region.Blind = true
		if n := p.chain(); n > most {
			best, most = p, n
		}
	}
	if best == nil {
		return nil
	}
	return f.ending(best)
}

// hwOpen opens the pool with nodes of that shape, as if it filled the memory;
// nil if that is too small.
func hwOpen(addr heap.Addr, memory []byte, info node.HeadInfo, s hwShape, h *node.Head) *heapwrightPool {
	info.Stacks, info.LRs, info.Backup = s.stacks, s.lrs, s.backup
	lay := node.NewLayout(s.stacks, s.lrs, s.backup, info.Secret)
	units := min(uint64(len(memory))/node.Unit, 1<<32-1)
	if units < uint64(lay.HeadU) || !endPossible(lay, uint32(units)-lay.HeadU) {
		return nil
	}
	p := newHeapwright(addr, memory, info, lay, uint32(units)-lay.HeadU)
	p.broken = h
	return p
}

// keyFits reports whether the checksum of the front or of the first node behind
// it is right.
func (p *heapwrightPool) keyFits() bool {
	r := &p.region
	if _, ok := r.Good(r.Ctrl(survey.Front), survey.Front); ok {
		return true
	}
	first := survey.Front + p.lay.HeadU
	h, ok := p.lay.Check(r.Ctrl(first), first)
	return ok && h.Prev() == p.lay.HeadU
}

// chain counts the nodes from the front on each of which the next one confirms,
// up to hwFar. Where there should be backups, one of them must be right: the same
// nodes could be taken for ones without, a little further on.
func (p *heapwrightPool) chain() (n int) {
	r := &p.region
	prev, backed := uint32(0), p.lay.Slot == 0
	defer func() {
		if !backed {
			n = 0
		}
	}()
	for at := survey.Front; r.There(at) && n < hwFar; n++ {
		h := node.Read(r.Ctrl(at))
		size := h.Size()
		bound := h.State() == node.Bound
		switch {
		case h.Prev() != prev || !h.State().Valid() || bound && size != p.lay.HeadU || at == survey.Front && !bound:
			return n
		case bound && at != survey.Front:
			return max(n+1, hwChain) // the end
		case !bound && size < p.lay.MinU || uint64(at)+uint64(size) > uint64(r.End):
			return n
		}
		backed = backed || at != survey.Front && p.lay.Same(r.Ctrl(at), r.Slot(at-prev))
		prev, at = size, at+size
	}
	return n
}

// ending gives the pool its end: where the head says if an end node is there,
// else where the first one is, else where the head says if its checksum confirms
// that, else somewhere behind the memory. nil: the search may not look at so much
// memory.
func (f *hwFinder) ending(p *heapwrightPool) *heapwrightPool {
	addr := p.about.Span.Start
	end, found := p.info.End, true
	if !p.endsAt(end) {
		if !f.afford(addr, uint64(len(p.memory))) {
			return nil
		}
		if at := p.findEnd(); at != 0 {
			end = at
		} else if !endPossible(p.lay, end) || uint64(end)+uint64(p.lay.HeadU) <= uint64(len(p.memory))/node.Unit || p.restore(end) == nil {
			end, found = p.behind(), false
		}
	}
	var restored []byte
	if found {
		restored = p.restore(end)
	}
	if restored != nil {
		p.info, _ = node.HeadOf(restored).Read()
		p.lay = node.NewLayout(p.info.Stacks, p.info.LRs, p.info.Backup, p.info.Secret)
	}
	q := newHeapwright(addr, p.memory, p.info, p.lay, end)
	n := min(q.about.Span.Len(), uint64(len(p.memory)))
	if !f.afford(addr, n) {
		return nil
	}
	q.memory = q.memory[:n]
	q.region.Blind, q.broken, q.restored, q.endAt = p.region.Blind, p.broken, restored, found
	return q
}

// behind returns an end behind the memory and all nodes in it, for a pool whose
// end node is not there.
func (p *heapwrightPool) behind() uint32 {
	r := p.region
	r.End = 1<<32 - 1 - 2*p.lay.MinU
	last := uint64(len(p.memory)) / node.Unit
	for at := survey.Front + p.lay.HeadU; r.There(at) && !r.Blind; {
		h, ok := r.Good(r.Ctrl(at), at)
		if !ok {
			at++
			continue
		}
		at += h.Size()
		last = max(last, uint64(at))
	}
	// So far that the last node leaves room for another.
	if end := last + uint64(p.lay.MinU); end+uint64(p.lay.HeadU) < 1<<32 && endPossible(p.lay, uint32(end)) {
		return uint32(end)
	}
	return p.region.End
}

// restore returns the damaged pool head with all that the nodes tell put right,
// if its checksum is right then; nil otherwise. Which of the numbers of LRs that
// fit into the same header it was, and whether its address is where it lies, only
// the checksum knows.
func (p *heapwrightPool) restore(end uint32) []byte {
	if p.region.Blind {
		return nil
	}
	known := p.info
	known.End = end
	for _, known.Base = range []uint64{0, p.region.Origin} {
		for known.LRs = range node.MaxLRs + 1 {
			if node.NewLayout(known.Stacks, known.LRs, known.Backup, 0).Ctrl != p.lay.Ctrl {
				continue
			}
			head, whole := p.broken.Restore(known)
			if !whole {
				continue
			}
			if _, err := node.HeadOf(head).Read(); err == nil {
				return head
			}
		}
	}
	return nil
}

// endsAt reports whether the end node lies at ref.
func (p *heapwrightPool) endsAt(ref uint32) bool {
	r := p.region
	if !endPossible(p.lay, ref) || !r.There(ref) {
		return false
	}
	r.End = ref
	h := node.Read(r.Ctrl(ref))
	if h.State() != node.Bound || h.Size() != p.lay.HeadU || h.Prev() > ref {
		return false
	}
	if _, ok := p.lay.Check(r.Ctrl(ref), ref); ok || !r.Blind {
		return ok
	}
	prev := ref - h.Prev()
	return h.Prev() >= p.lay.MinU && prev > survey.Front && node.Read(r.Ctrl(prev)).Size() == h.Prev()
}

// findEnd looks for the end node behind the front: from node to node as long as
// these are good, else unit by unit. 0: there is none.
func (p *heapwrightPool) findEnd() uint32 {
	r := &p.region
	for at := survey.Front + p.lay.HeadU; r.There(at); at++ {
		h := node.Read(r.Ctrl(at))
		if h.State() == node.Bound {
			if p.endsAt(at) {
				return at
			}
			continue
		}
		if size := h.Size(); size < p.lay.MinU || size > r.End-min(at, r.End) {
			continue
		}
		if _, ok := r.Good(r.Ctrl(at), at); ok {
			at += h.Size() - 1
		}
	}
	return 0
}

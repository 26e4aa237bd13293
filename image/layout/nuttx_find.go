package layout

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/heapwright/heapwright/heap"
)

// nuttxScan looks for heaps of NuttX.
type nuttxScan struct {
	m      *ram
	h      *Hints
	pools  []*NuttXPool
	tries  int
	budget int64 // nodes and places that may still be looked at
	most   uint64
	force  bool // a person says that there is a heap
}

// nuttxFar bounds how far in front of a region the heap's structure is looked
// for, in bytes.
const nuttxFar = 8 << 10

func findNuttX(mem heap.RAM, h *Hints) (pools []Pool, notes []string) {
	s := &nuttxScan{m: newRAM(mem), h: h, budget: rtBudget(mem), most: rtMost(mem)}
	if h.At != 0 {
		s.force = true
		s.openAt(h.At, "", nil)
	} else {
		s.variables()
		for i := range s.m.spans {
			s.span(&s.m.spans[i])
		}
		for i := 0; i < len(s.m.spans) && len(s.pools) == 0; i++ {
			s.structures(&s.m.spans[i])
		}
	}
	for _, p := range s.pools {
		pools = append(pools, p)
	}
	return pools, nil
}

// openNuttX opens the heap whose structure, or whose guard node in front of a
// region, lies at addr; of a heap with several regions, the first. layout says
// how it is laid out; nil: that is found out from what lies there.
func openNuttX(mem heap.RAM, addr heap.Addr, layout *NuttX) (*NuttXPool, error) {
	if layout != nil {
		if err := layout.Validate(); err != nil {
			return nil, err
		}
	}
	s := &nuttxScan{m: newRAM(mem), h: &Hints{}, budget: rtBudget(mem), most: rtMost(mem), force: true}
	s.openAt(addr, "", layout)
	if len(s.pools) == 0 {
		return nil, fmt.Errorf("layout: no heap of NuttX at %s", addr)
	}
	return s.pools[0], nil
}

func (s *nuttxScan) words() []int {
	if s.h.PointerSize == 4 || s.h.PointerSize == 8 {
		return []int{s.h.PointerSize}
	}
	return []int{8, 4} // the lower halves of 64-bit words look like 32-bit ones, not the other way round
}

// variables opens the heaps that symbols lead to: pointers to a heap's
// structure or, in some versions, the structure itself.
func (s *nuttxScan) variables() {
	if s.h.Program == nil {
		return
	}
	for _, name := range []string{"g_mmheap", "g_kmmheap"} {
		v, ok := s.h.Program.Variable(name)
		if !ok {
			continue
		}
		s.openAt(v.Start, name, nil)
		for _, w := range s.words() {
			if to, ok := s.m.word(v.Start, w); ok && to != 0 {
				s.openAt(heap.Addr(to), name, nil)
			}
		}
	}
}

// nuttxHeadLen reports whether a header can be that long.
func nuttxHeadLen(n uint64, w int) bool {
	return n >= uint64(2*w) && n <= uint64(4*w+w*MaxNuttXBacktrace) && n%uint64(w) == 0
}

// guard returns the length of a header if a guard node lies at `at`, else 0.
func (s *nuttxScan) guard(at heap.Addr, w int) int {
	v, ok := s.m.word(at+heap.Addr(w), w)
	if n := v &^ nuttxBits; ok && v&nuttxUsed != 0 && nuttxHeadLen(n, w) {
		return int(n)
	}
	return 0
}

// openAt opens the regions of a heap whose structure lies at `at`, or else the
// one whose guard does.
func (s *nuttxScan) openAt(at heap.Addr, name string, given *NuttX) {
	known := len(s.pools)
	for _, w := range s.words() {
		if given != nil && given.word() != w {
			continue
		}
		head := s.guard(at, w)
		for _, both := range []bool{true, false} {
			if s.structure(at, w, both, name, given); len(s.pools) > known {
				return
			}
			// What lies behind a guard may look like one address of another.
			if head != 0 && s.add(at, 0, 0, w, head, name, given) {
				return
			}
		}
		if given != nil && s.add(at, 0, 0, w, given.offsets().head, name, given) {
			return
		}
	}
}

// structure opens the regions that a struct mm_heap_s at `at` names: addresses
// of the guards in front, then of those behind. Unless both, one guard that is
// right will do.
func (s *nuttxScan) structure(at heap.Addr, w int, both bool, name string, given *NuttX) {
	const most = 256 // bytes in front of the addresses
	b := s.m.some(at, most+8*w)
	for i := 0; i+2*w <= len(b) && i < most; i += w {
		for n := 1; n <= 4 && i+2*n*w <= len(b) && (both || n == 1); n++ {
			if s.regions(b[i:], n, at, w, both, name, given) {
				return
			}
		}
	}
}

// regions opens those that b names, n addresses of guards in front and as many
// of guards behind, and reports whether there are any.
func (s *nuttxScan) regions(b []byte, n int, at heap.Addr, w int, both bool, name string, given *NuttX) (found bool) {
	guards := func(k int) (first, end heap.Addr) {
		return heap.Addr(word(b[k*w:], w)), heap.Addr(word(b[(n+k)*w:], w))
	}
	for k := range n {
		first, end := guards(k)
		if first == 0 || end <= first || (first|end)&heap.Addr(w-1) != 0 || s.m.span(first) == nil {
			return false
		}
		if x := s.guard(first, w); both && (x == 0 || x != s.guard(end, w)) {
			return false
		}
	}
	for k := range n {
		label := name
		if n > 1 {
			label = fmt.Sprintf("%s (region %d)", name, k+1)
		}
		first, end := guards(k)
		for _, head := range []int{s.guard(first, w), s.guard(end, w)} { // one may be damaged
			if head != 0 && (given == nil || head == given.offsets().head) && s.add(first, end, at, w, head, label, given) {
				found = true
				break
			}
		}
	}
	return found
}

// span looks for guard nodes in one piece of memory: lengths of a header with
// the flag for used, behind which lies a node.
func (s *nuttxScan) span(piece *heap.Memory) {
	skip := uint64(-piece.Addr & 3)
	if uint64(len(piece.Bytes)) < skip {
		return
	}
	b, at := piece.Bytes[skip:], piece.Addr+heap.Addr(skip)
	low := heap.Addr(0) // up to here lies a pool
	const most = 8*(4+MaxNuttXBacktrace) + 1
	for i := 0; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if x == 0 {
			continue
		}
		for k := range 2 {
			v := uint32(x >> (32 * k))
			if v-9 > most-9 || v&3 != 1 {
				continue
			}
			if a := at + heap.Addr(i+4*k); a >= low {
				low = max(low, s.near(a, uint64(v)))
			}
		}
	}
}

// structures looks in one piece of memory for what a struct mm_heap_s says about
// the one region of a heap: its length, the bytes in use at most and now, and
// the addresses of both guards, which lie as far from each other. One of the
// guards may be damaged. In some versions the structure is counted as in use.
func (s *nuttxScan) structures(piece *heap.Memory) {
	for _, w := range s.words() {
		skip := int(-piece.Addr & heap.Addr(w-1))
		for i := skip; i+5*w <= len(piece.Bytes); i += w {
			b := piece.Bytes[i:]
			size := word(b, w)
			if size == 0 || size > s.most {
				continue
			}
			first, end := word(b[3*w:], w), word(b[4*w:], w)
			head := size - (end - first)
			if end <= first || !nuttxHeadLen(head, w) || max(word(b[w:], w), word(b[2*w:], w)) > size+nuttxFar {
				continue
			}
			at := piece.Addr + heap.Addr(i)
			if s.guard(heap.Addr(first), w) == int(head) || s.guard(heap.Addr(end), w) == int(head) {
				s.add(heap.Addr(first), heap.Addr(end), at, w, int(head), "", nil)
			}
		}
	}
}

// near looks closer at a word that can be the length of a guard node, and
// returns the end of the heap that it guards.
func (s *nuttxScan) near(at heap.Addr, v uint64) heap.Addr {
	head := v &^ nuttxBits
	for _, w := range s.words() {
		if at&heap.Addr(w-1) != 0 || at < heap.Addr(w) || !nuttxHeadLen(head, w) {
			continue
		}
		first := at - heap.Addr(w)
		if w == 8 && s.guard(first, w) == 0 {
			continue
		}
		size, ok := s.m.word(at+heap.Addr(head), w)
		length := size &^ nuttxBits
		if !ok || size&nuttxPrevFree != 0 || length < head+uint64(2*w) || length%uint64(w) != 0 || s.m.span(first+heap.Addr(head+length)) == nil {
			continue
		}
		if s.add(first, 0, 0, w, int(head), "", nil) {
			return s.pools[len(s.pools)-1].about.Span.End
		}
	}
	return 0
}

// add opens the region between two guards and keeps it, if there is one. end
// and structure are 0 where they are not known.
func (s *nuttxScan) add(first, end, structure heap.Addr, w, head int, name string, given *NuttX) bool {
	for _, p := range s.pools {
		if first >= p.about.Span.Start && first < p.about.Span.End {
			return true
		}
	}
	if s.tries++; len(s.pools) >= maxPools || s.tries > maxTries<<6 || s.budget <= 0 || first == 0 {
		return false
	}
	layouts := []NuttX{}
	if given != nil {
		layouts = append(layouts, *given)
	} else {
		layouts = s.layouts(w, head)
	}
	// All have headers of the same length, so the way from node to node does not
	// depend on which it is; only the alignment matters.
	var best *nuttxDetection
	for _, align := range []int{0, w} {
		if len(layouts) == 0 {
			break
		}
		d := &nuttxDetection{s: s, p: &NuttXPool{Layout: layouts[0], First: first, End: end, structure: structure, mem: s.m.mem}}
		set := given != nil || d.p.Layout.Align != 0
		if !set {
			d.p.Layout.Align = align
		}
		if d.bounds() && d.sample() && (best == nil || d.p.about.Sound*best.p.about.Seen > best.p.about.Sound*d.p.about.Seen) {
			best = d
		}
		if set || best != nil && best.p.about.Sound == best.p.about.Seen {
			break
		}
	}
	if best == nil {
		return false
	}
	best.choose(layouts, given)
	best.about(name)
	s.pools = append(s.pools, best.p)
	return true
}

// layouts returns the configurations whose headers have that length and which
// the hints allow, the usual ones first.
func (s *nuttxScan) layouts(w, head int) (all []NuttX) {
	if l, ok := s.described(w); ok {
		if l.offsets().head == head {
			all = append(all, l)
		}
		return all
	}
	add := func(l NuttX) {
		l.Bits64 = w == 8
		l.Align = s.alignment()
		if l.Validate() == nil && l.offsets().head == head && s.allows(l) {
			all = append(all, l)
		}
	}
	add(NuttX{})
	for _, seqno := range []bool{true, false} {
		for n := 0; n <= MaxNuttXBacktrace; n++ {
			add(NuttX{PID: true, Seqno: seqno, Backtrace: n})
		}
		add(NuttX{PID: true, Seqno: seqno, StackRef: true})
	}
	add(NuttX{Seqno: true})
	add(NuttX{StackRef: true})
	return all
}

// described returns the layout of struct mm_allocnode_s as debug information
// has it.
func (s *nuttxScan) described(w int) (l NuttX, ok bool) {
	if s.h.Program == nil {
		return l, false
	}
	d, ok := s.h.Program.Struct("mm_allocnode_s")
	size, has := d.Field("size")
	if !ok || !has || int(size.Size) != w || int(size.Offset) != w {
		return l, false // none, or of a version with another order of fields
	}
	l.Bits64 = w == 8
	_, l.PID = d.Field("pid")
	_, l.Seqno = d.Field("seqno")
	_, l.StackRef = d.Field("stack")
	if f, ok := d.Field("backtrace"); ok {
		l.Backtrace = int(f.Size) / w
	}
	l.Align = s.alignment()
	return l, l.Validate() == nil
}

// alignment returns what the configuration says about it; 0: the default.
func (s *nuttxScan) alignment() int {
	n, err := strconv.Atoi(s.h.Config["CONFIG_MM_DEFAULT_ALIGNMENT"])
	if err != nil || n < 4 || n > maxAlign || n&(n-1) != 0 {
		return 0
	}
	return n
}

// allows reports whether the configuration of the device allows l.
func (s *nuttxScan) allows(l NuttX) bool {
	if v, ok := s.h.Config["CONFIG_MM_BACKTRACE"]; ok {
		n, err := strconv.Atoi(v)
		return err != nil || !l.StackRef && l.PID == (n >= 0) && l.Backtrace == max(n, 0) && (n >= 0 || !l.Seqno)
	}
	for name, has := range map[string]bool{
		"CONFIG_MM_RECORD_PID": l.PID, "CONFIG_MM_RECORD_SEQNO": l.Seqno, "CONFIG_MM_RECORD_STACK": l.StackRef,
	} {
		if v, ok := s.h.Config[name]; ok && has != (v == "y") {
			return false
		}
	}
	return true
}

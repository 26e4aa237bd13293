package layout

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/heapwright/heapwright/heap"
)

const (
	// tlsfMaxTries bounds the places with an end node that are looked at more
	// closely.
	tlsfMaxTries = 256
	// tlsfMaxDoubtful bounds those without.
	tlsfMaxDoubtful = 64
)

// tlsfHints is what hints mean for configurations.
type tlsfHints struct {
	word   int
	config map[string]string
	node   *heap.Struct // OsMemNodeHead
	head   *heap.Struct // OsMemPoolHead
	loose  bool         // config and program are not believed
	either bool         // it may be the other kernel's pool as well
}

func newTLSFHints(h *Hints) *tlsfHints {
	t := &tlsfHints{word: h.PointerSize, config: h.Config}
	if t.word != 4 && t.word != 8 {
		t.word = 0
	}
	if h.Program != nil {
		if s, ok := h.Program.Struct("OsMemNodeHead"); ok {
			t.node = &s
		}
		if s, ok := h.Program.Struct("OsMemPoolHead"); ok {
			t.head = &s
		}
	}
	return t
}

// allows reports whether the hints leave a configuration.
func (t *tlsfHints) allows(l TLSF) bool {
	if t.loose {
		return true
	}
	return t.configured(&l) && t.compiled(l)
}

// configured compares a configuration with the device's .config. What is on by
// default in the kernels' headers may be on without being in it.
func (t *tlsfHints) configured(l *TLSF) bool {
	if t.config == nil {
		return true
	}
	on := func(name string) bool { v := t.config[name]; return v != "" && v != "n" && v != "0" }
	said := func(name string) bool { return t.config[name] != "" }
	lrs := 0
	if on("LOSCFG_MEM_LEAKCHECK") {
		lrs = l.LRs
		if n, err := strconv.Atoi(t.config["LOSCFG_MEM_RECORD_LR_CNT"]); err == nil && !l.A {
			lrs = n
		}
	}
	ok := l.LRs == lrs && (l.LeakCheck == on("LOSCFG_MEM_LEAKCHECK")) &&
		(l.Waterline == on("LOSCFG_MEM_WATERLINE") || !said("LOSCFG_MEM_WATERLINE")) &&
		(l.MulPool == on("LOSCFG_MEM_MUL_POOL") || !said("LOSCFG_MEM_MUL_POOL"))
	if l.A {
		return ok && l.SMP == on("LOSCFG_KERNEL_SMP") && (l.Expand == on("LOSCFG_KERNEL_VM") || !said("LOSCFG_KERNEL_VM"))
	}
	task := TLSFNoTask
	switch {
	case on("LOSCFG_TASK_MEM_USED"):
		task = TLSFTaskWord
	case on("LOSCFG_MEM_FREE_BY_TASKID"):
		task = TLSFTaskPacked
	}
	return ok && l.Integrity == on("LOSCFG_BASE_MEM_NODE_INTEGRITY_CHECK") && l.Task == task && l.Regions == on("LOSCFG_MEM_MUL_REGIONS")
}

// compiled compares a configuration with the structures in the debug
// information.
func (t *tlsfHints) compiled(l TLSF) bool {
	o := l.Offsets()
	is := func(s *heap.Struct, name string, off int) bool {
		f, ok := s.Field(name)
		return ok == (off >= 0) && (!ok || f.Offset == uint64(off))
	}
	if s := t.node; s != nil {
		lrs, _ := s.Field("linkReg")
		task, packed := s.Field("taskID")
		if l.Task == TLSFTaskPacked != (packed && task.Offset == uint64(o.Size)) || l.Task != TLSFTaskPacked && !is(s, "taskID", o.Task) {
			return false
		}
		if s.Size != uint64(o.Head) || !is(s, "magic", o.Magic) || !is(s, "linkReg", o.LR) ||
			lrs.Size != uint64(o.LRs*o.Word) && o.LRs > 0 || !is(s, "ptr", o.Prev) {
			return false
		}
	}
	if s := t.head; s != nil {
		return s.Size == uint64(o.FirstNode) && is(s, "freeListBitmap", o.Bitmap) && is(s, "freeList", o.Lists) && is(s, "nextPool", o.NextPool)
	}
	return true
}

// openTLSF opens the pool whose head lies at addr. layout says how it is laid
// out; nil: that is found out from what lies there, for LiteOS-A if a. It fails
// if no pool can be recognized there.
func openTLSF(mem heap.RAM, addr heap.Addr, layout *TLSF, a bool) (*TLSFPool, error) {
	m := newRAM(mem)
	if layout == nil {
		if p := tlsfOpen(m, addr, a, &tlsfHints{}); p != nil {
			return p, nil
		}
		return nil, fmt.Errorf("layout: no pool of OpenHarmony at %s", addr)
	}
	if err := layout.Validate(); err != nil {
		return nil, err
	}
	c := tlsfScore(m, addr, *layout, true)
	if c == nil {
		return nil, fmt.Errorf("layout: no pool of %s at %s: neither its head nor its nodes give its size", layout, addr)
	}
	c.evidence = append([]string{"its layout was given: " + layout.String()}, c.evidence...)
	return c.pool(m).grow(m), nil
}

// tlsfOpen opens the pool at addr; nil: there is none.
func tlsfOpen(m *ram, addr heap.Addr, a bool, h *tlsfHints) *TLSFPool {
	if m.span(addr) == nil {
		return nil
	}
	all := tlsfDetect(m, addr, a, h)
	if len(all) == 0 || all[0].score < tlsfEnough {
		return nil
	}
	p := all[0].pool(m)
	if h.either {
		// The kernels' pools differ in little but what the first node names.
		if others := tlsfDetect(m, addr, !a, h); len(others) > 0 {
			switch c := others[0]; {
			case c.score > all[0].score:
				return nil
			case c.score >= all[0].score-1 && !all[0].begun:
				p.unsure = true
				p.about.Doubts = append(p.about.Doubts, fmt.Sprintf("%s fits nearly as well", c.layout))
			}
		}
	}
	for _, c := range all[1:] {
		same := c.layout
		same.Expand = p.Layout.Expand
		p.unsure = p.unsure || !c.ended && same == p.Layout
		if c.score == all[0].score && c.layout != all[0].layout && len(p.about.Doubts) < 8 {
			p.about.Doubts = append(p.about.Doubts, fmt.Sprintf("%s fits as well", c.layout))
		}
	}
	return p.grow(m)
}

// grow looks for the regions by which a pool of LiteOS-A has grown: its end
// node names the next one.
func (p *TLSFPool) grow(m *ram) *TLSFPool {
	o := p.Layout.Offsets()
	for at := p; p.Layout.Expand && len(p.grown) < maxPools; {
		b := m.bytes(at.end, o.Head)
		if b == nil {
			break
		}
		next, size := heap.Addr(word(b[o.Prev:], o.Word)), uint64(binary.LittleEndian.Uint32(b[o.Size:])&p.Layout.sizeMask())
		if next == 0 || size < uint64(2*o.Head) || next&heap.Addr(o.Word-1) != 0 || uint64(next)+size < size || m.span(next) == nil || p.covers(next) {
			break
		}
		g := &TLSFPool{
			Layout: p.Layout, Addr: next, Size: size, mem: p.mem, main: p,
			first: next, end: next + heap.Addr(size) - heap.Addr(o.Head),
		}
		g.about = p.about
		g.about.Span = heap.Span{Start: next, End: next + heap.Addr(size)}
		g.about.Sound, g.about.Seen = 0, 0
		g.about.Doubts = nil
		g.about.Evidence = []string{fmt.Sprintf("the end node at %s says that the pool at %s has grown by these %d bytes", at.end, p.Addr, size)}
		if c := g.walker(); c.soundEnd() {
			g.about.Sound, g.about.Seen = 1, 1
		} else {
			break
		}
		at.more = next
		p.grown = append(p.grown, g)
		at = g
	}
	return p
}

// soundEnd reports whether the end node is where it should be.
func (w *tlsfWalk) soundEnd() bool {
	n := chainNode{at: w.end}
	w.read(&n)
	return n.bad == 0
}

// covers reports whether addr lies in the pool or one of its regions.
func (p *TLSFPool) covers(addr heap.Addr) bool {
	in := func(q *TLSFPool) bool { return addr >= q.Addr && uint64(addr-q.Addr) < q.Size }
	return in(p) || slices.ContainsFunc(p.grown, in)
}

// findLiteOSM finds the pools of LiteOS-M that the hints allow.
func findLiteOSM(mem heap.RAM, h *Hints) (pools []Pool, notes []string) {
	return findTLSF(mem, h, false)
}

// findLiteOSA finds the pools of LiteOS-A that the hints allow.
func findLiteOSA(mem heap.RAM, h *Hints) (pools []Pool, notes []string) {
	return findTLSF(mem, h, true)
}

func findTLSF(mem heap.RAM, h *Hints, a bool) (pools []Pool, notes []string) {
	s := tlsfSearch{m: newRAM(mem), a: a, h: newTLSFHints(h)}
	s.h.either = h.System == ""
	s.all(h)
	if len(s.found) == 0 && (s.h.config != nil || s.h.node != nil || s.h.head != nil) {
		s.h.loose = true
		if s.all(h); len(s.found) > 0 {
			notes = append(notes, "the configuration or debug information given fits no pool; without it, one is recognized: "+s.found[0].Layout.String())
		}
	}
	for _, p := range s.found {
		s.name(p, h.Program)
		pools = append(pools, p)
		for i, g := range p.grown {
			g.about.Name = fmt.Sprintf("%s, region %d", p.about.Label(), i+2)
			pools = append(pools, g)
		}
	}
	return pools, notes
}

// A tlsfSearch is one search for pools.
type tlsfSearch struct {
	m     *ram
	a     bool
	h     *tlsfHints
	found []*TLSFPool
}

// all looks everywhere where the hints say, and follows chains of pools.
func (s *tlsfSearch) all(h *Hints) {
	if h.At != 0 {
		s.add(h.At)
		return
	}
	for _, at := range s.named(h.Program) {
		s.add(at)
	}
	s.scan()
	for i := 0; i < len(s.found) && len(s.found) < maxPools; i++ {
		if next := s.found[i].Next; next != 0 {
			s.add(next)
		}
	}
}

// scan goes over all memory.
func (s *tlsfSearch) scan() {
	var doubtful []heap.Addr
	tries := 0
	for i := range s.m.spans {
		span := &s.m.spans[i]
		for at := span.Addr; len(s.found) < maxPools; {
			p, ok := selfPointer(span, at)
			if !ok {
				break
			}
			at = p + 4
			switch can, ended := s.headLike(p); {
			case ended && tries < tlsfMaxTries:
				tries++
				if s.add(p) {
					last := s.found[len(s.found)-1]
					at = max(at, last.Addr+heap.Addr(last.Size))
				}
			case can && !ended && len(doubtful) < tlsfMaxDoubtful:
				doubtful = append(doubtful, p)
			}
		}
	}
	for _, p := range doubtful {
		if len(s.found) < maxPools {
			s.add(p)
		}
	}
}

// add opens the pool at addr, unless that lies within one.
func (s *tlsfSearch) add(addr heap.Addr) bool {
	if slices.ContainsFunc(s.found, func(p *TLSFPool) bool { return p.covers(addr) }) {
		return false
	}
	p := tlsfOpen(s.m, addr, s.a, s.h)
	if p == nil {
		return false
	}
	s.found = append(s.found, p)
	return true
}

// headLike reports, cheaply, whether there can be a pool's head at p, and
// whether an end node lies where it says that the pool ends.
func (s *tlsfSearch) headLike(p heap.Addr) (can, ended bool) {
	for _, w := range [2]int{4, 8} {
		b := s.m.bytes(p, 16)
		if b == nil || s.h.word != 0 && s.h.word != w {
			continue
		}
		size := word(b[w:], 4)
		if word(b, w) != uint64(p) || size%4 != 0 || size <= tlsfLists*4 || size > 1<<30 || word(b[w+4:], 4) > 3 {
			continue
		}
		can = true
		for off := heap.Addr(4); off <= heap.Addr(w); off += 4 { // the size word is the last, or in front of padding
			last, _ := s.m.word(p+heap.Addr(size)-off, 4)
			grows := s.a && last>>24 == tlsfUsed|tlsfSeen
			ended = ended || last&^(1<<tlsfTaskBits-1) == tlsfUsed<<24 || grows
		}
	}
	return can, ended
}

// The variables of the kernels that are a pool or point to one.
var (
	tlsfArrays   = []string{"g_memStart"}
	tlsfPointers = []string{"m_aucSysMem0", "m_aucSysMem1", "g_poolHead"}
)

// named returns where the program's variables say that pools lie.
func (s *tlsfSearch) named(prog heap.Program) (at []heap.Addr) {
	if prog == nil {
		return nil
	}
	for _, name := range tlsfArrays {
		if v, ok := prog.Variable(name); ok {
			at = append(at, v.Start)
		}
	}
	for _, name := range tlsfPointers {
		if p := s.pointer(prog, name); p != 0 {
			at = append(at, p)
		}
	}
	return at
}

// pointer returns what a variable that is a pointer holds; 0: nothing.
func (s *tlsfSearch) pointer(prog heap.Program, name string) heap.Addr {
	v, ok := prog.Variable(name)
	if !ok {
		return 0
	}
	n := s.h.word
	if l := v.Len(); n == 0 && (l == 4 || l == 8) {
		n = int(l)
	}
	if n == 0 {
		n = 4
	}
	p, _ := s.m.word(v.Start, n)
	return heap.Addr(p)
}

// name names a pool after the variable that leads to it.
func (s *tlsfSearch) name(p *TLSFPool, prog heap.Program) {
	if prog == nil {
		return
	}
	say := func(name, how string) {
		if p.about.Name == "" {
			p.about.Name = name
		}
		p.about.Evidence = append(p.about.Evidence, fmt.Sprintf("the program's variable %s %s", name, how))
	}
	for _, name := range tlsfArrays {
		if v, ok := prog.Variable(name); ok && v.Start == p.Addr {
			say(name, "lies there")
		}
	}
	for _, name := range tlsfPointers {
		if s.pointer(prog, name) == p.Addr {
			say(name, "points to it")
		}
	}
}

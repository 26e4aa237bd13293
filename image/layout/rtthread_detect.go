package layout

import (
	"fmt"
	"strconv"

	"github.com/heapwright/heapwright/heap"
)

// open opens the heap at a place; nil: there is none. given is how it is laid
// out; nil: that is to be found out.
func (s *rtScan) open(place rtPlace, given *RTThread) *RTThreadPool {
	p := &RTThreadPool{
		Layout: RTThread{Kind: place.kind, Bits64: place.bits64, Reserved: place.reserved},
		Head:   place.head, First: place.first, End: place.end, mem: s.m.mem,
	}
	if given != nil {
		p.Layout = *given
	}
	if !s.mark(p) || !s.bounds(p) {
		return nil
	}
	d := rtDetection{s: s, p: p}
	if !d.sample() {
		return nil
	}
	d.structure()
	if given == nil {
		d.choose()
	} else {
		d.say("its layout was given: %s", given)
	}
	d.about(place.name)
	return p
}

// mark decides which constant the headers hold.
func (s *rtScan) mark(p *RTThreadPool) bool {
	switch p.Layout.Kind {
	case RTThreadMagic:
		p.mark, p.Head = rtMagic16, 0
	case RTThreadMemheap:
		p.mark = rtMagic32
	default:
		p.mark = uint64(p.Head)
		v, ok := s.m.word(p.First, p.Layout.offsets().word)
		if cut := p.mark & (1<<32 - 1); ok && v&^1 == cut {
			p.mark = cut // some 64-bit versions cut it off
		}
		return p.mark&3 == 0 && p.mark != 0
	}
	return true
}

// bounds finds the end node: where the first nodes lead to, or else behind the
// damage at which they end.
func (s *rtScan) bounds(p *RTThreadPool) bool {
	o := p.Layout.offsets()
	if p.Layout.Kind != RTThreadMemheap && p.Head != 0 && p.End == 0 {
		if at, ok := s.smallAt(p.Head, o.word); ok {
			b := s.m.bytes(at, 8*o.word)
			end := heap.Addr(word(b[5*o.word:], o.word))
			// What its total leaves is a header: believed even without an end node.
			rest := uint64(end-p.First) - word(b[o.word:], o.word)
			if s.ends(p, &o, end) || end > p.First && rest >= uint64(o.prev+o.word) && rest <= 64 {
				p.End = end
			}
		}
	}
	if p.End == 0 && !s.search(p, &o) {
		return false
	}
	return p.End > p.First && uint64(p.End-p.First) <= s.most && (p.End-p.First)&3 == 0 && s.m.span(p.First) != nil &&
		(o.word == 8 || uint64(p.End)+uint64(o.head) <= 1<<32)
}

// ends reports whether an end node of small memory lies at `at`.
func (s *rtScan) ends(p *RTThreadPool, o *rtOffsets, at heap.Addr) bool {
	if at <= p.First {
		return false
	}
	r := p.chain(s.m)
	r.end = at
	n := chainNode{at: at}
	r.read(&n)
	return n.bad == 0
}

// search looks for the end node of small memory.
func (s *rtScan) search(p *RTThreadPool, o *rtOffsets) bool {
	r := p.chain(s.m)
	r.end = ^heap.Addr(0) &^ heap.Addr(maxAlign-1)
	r.o.align = 4
	front := chainNode{}
	links := 0
	at := p.First
	for ; s.budget > 0; s.budget-- {
		if s.ends(p, o, at) {
			p.End = at
			return true
		}
		n := chainNode{at: at}
		r.read(&n)
		if n.bad&chainLost != 0 || links > 0 && r.link(&front, &n) != chainNames || links == 0 && r.link(nil, &n) != chainNames {
			break
		}
		links++
		at, front = at+n.length, n
	}
	if links < 4 && !s.force {
		return false // not worth a search
	}
	last := at
	at = max(p.First, front.at) // the way ends behind it, or it leads astray
	for w := heap.Addr(o.word); s.budget > 0; s.budget-- {
		if at += w; s.m.span(at) == nil {
			break
		}
		if s.ends(p, o, at) {
			p.End = at
			return true
		}
	}
	// There is no end node behind the damage, so it is the end node's.
	p.End = last
	return last > p.First && s.budget > 0 && s.m.bytes(last, r.core) != nil
}

// smallAt returns where in a struct rt_small_mem the address of the first node
// lies.
func (s *rtScan) smallAt(head heap.Addr, w int) (heap.Addr, bool) {
	b := s.m.some(head, rtNear)
	for i := 0; i+8*w <= len(b); i += w {
		a := word(b[i:], w)
		if a > uint64(head) && a-uint64(head) < rtNear && word(b[i+4*w:], w) == a && word(b[i+w:], w) == word(b[i+7*w:], w) {
			return head + heap.Addr(i), true
		}
	}
	return 0, false
}

// rtDetection is what speaks for a heap.
type rtDetection struct {
	s *rtScan
	p *RTThreadPool

	common                  heap.Addr // all distances of nodes, or'ed
	named, unnamed, strange int       // nodes with a name, a blank one, something else
	whole                   bool      // the sample is the whole heap
	head                    int       // length of a header as the structure tells; 0: it does not
}

func (d *rtDetection) say(format string, args ...any) {
	d.p.about.Evidence = append(d.p.about.Evidence, fmt.Sprintf(format, args...))
}

func (d *rtDetection) doubt(format string, args ...any) {
	d.p.about.Doubts = append(d.p.about.Doubts, fmt.Sprintf(format, args...))
}

// sample judges the first nodes, and the ends of the heap.
func (d *rtDetection) sample() bool {
	p, a := d.p, &d.p.about
	named := p.Layout
	named.MemTrace = true
	where := named.offsets()
	w := p.walk(nil, nil, false)
	r := w.layout.(*rtChain)
	d.common = p.End - p.First
	links := 0
	last := heap.Addr(0)
	w.visit = func(n *heap.Node) bool {
		a.Seen++
		c := chainNode{at: n.Addr}
		if r.read(&c); c.bad == 0 {
			a.Sound++
			d.common |= n.Addr - p.First
			if c.prev == last && last != 0 {
				links++
			}
			d.name(&c, where)
		}
		last = n.Addr
		return a.Seen < sample
	}
	w.run()
	d.s.budget -= int64(a.Seen)
	if a.Sound < a.Seen || w.survey.Findings > 0 { // it may have searched all of it
		d.s.budget -= 1024 + int64(p.End-p.First)/4
	}
	d.whole = !w.survey.Stopped
	end := chainNode{at: p.End}
	r.read(&end)
	first := chainNode{at: p.First}
	r.read(&first)
	ended, begun := end.bad&(chainNoSize|chainNoMark|chainMissing) == 0, first.bad == 0 && r.link(nil, &first) == chainNames
	switch {
	case ended && begun && d.whole && a.Sound == a.Seen:
	case d.s.force && (ended || begun): // it is where it is said to be
	case 2*a.Sound <= a.Seen || a.Sound < 2:
		return false
	case !ended && !begun, links < 3 && !(ended && begun):
		return false
	}
	if begun {
		d.say("at %s lies a header with %s that names itself the first node", p.First, d.markText())
	}
	if !ended {
		d.doubt("the header at %s, where the heap is taken to end, is not that of an end node", p.End)
	} else {
		d.say("at %s lies a header with %s that names itself the last node", p.End, d.markText())
	}
	d.say("of %d nodes from the first on, %d are sound: %s, and links in both directions", a.Seen, a.Sound, d.markText())
	return true
}

func (d *rtDetection) markText() string {
	switch d.p.Layout.Kind {
	case RTThreadMagic:
		return "the magic 0x1ea0"
	case RTThreadMemheap:
		return fmt.Sprintf("the magic 0x1ea01ea0 and the pool's address, %s", d.p.Head)
	}
	return fmt.Sprintf("the pool's address, %s", d.p.Head)
}

// name counts what lies where a thread's name would be.
func (d *rtDetection) name(n *chainNode, o rtOffsets) {
	b := d.s.m.bytes(n.at+heap.Addr(o.name), o.nameLen)
	switch trimmed := rtTrim(b); {
	case b == nil || !rtName(b) || len(trimmed) > 0 && n.free:
		d.strange++
	case len(trimmed) == 0 && b[0] == ' ', len(trimmed) == 0 && n.free:
		d.unnamed++
	case len(trimmed) == 0:
		d.strange++
	default:
		d.named++
	}
}

// structure reads what the pool's own structure says.
func (d *rtDetection) structure() {
	p, m := d.p, d.s.m
	w := p.Layout.offsets().word
	switch p.Layout.Kind {
	case RTThreadSmall:
		at, ok := d.s.smallAt(p.Head, w)
		b := m.bytes(at, 8*w)
		if !ok || b == nil || heap.Addr(word(b, w)) != p.First {
			return
		}
		p.sums = rtTotals{at: at + heap.Addr(2*w), width: w, value: word(b[2*w:], w), peak: word(b[3*w:], w), total: word(b[w:], w)}
		if heap.Addr(word(b[5*w:], w)) == p.End {
			d.head = int(uint64(p.End-p.First) - p.sums.total)
			d.say("the structure at %s names the first node, the end node and a length of %d bytes", p.Head, p.sums.total)
		}
	case RTThreadMemheap:
		d.memheap(w)
	}
}

// memheap reads struct rt_memheap.
func (d *rtDetection) memheap(w int) {
	p, m := d.p, d.s.m
	ring, sizes, width, ok := d.s.memheapAt(p.Head, w)
	b := m.bytes(p.Head, sizes+3*width)
	if !ok || b == nil || heap.Addr(word(b[sizes-w:], w)) != p.First {
		return
	}
	p.ring = p.Head + heap.Addr(ring)
	p.sums = rtTotals{
		at: p.Head + heap.Addr(sizes+width), width: width,
		total: word(b[sizes:], width), value: word(b[sizes+width:], width), peak: word(b[sizes+2*width:], width),
	}
	d.head = int(p.sums.total - uint64(p.End-p.First))
	d.say("the structure at %s names the first node and a length of %d bytes, and holds the head of the list of free nodes", p.Head, p.sums.total)
}

// choose decides how long headers are and whether they end with names.
func (d *rtDetection) choose() {
	p := d.p
	traced, known := d.traced()
	align, exact := d.align()
	var fits []RTThread
	for _, trace := range []bool{traced, !traced} {
		if trace != traced && (known || d.head <= 0 && d.plain()) {
			continue
		}
		for _, a := range align {
			l := p.Layout
			l.MemTrace, l.Align = trace, a
			if o := l.offsets(); d.head <= 0 || o.head == d.head {
				fits = append(fits, l)
			}
		}
	}
	if len(fits) == 0 {
		p.Layout.MemTrace, p.Layout.Align = traced, align[0]
		d.doubt("the structure says that a header has %d bytes, which no configuration gives", d.head)
		return
	}
	p.Layout = fits[0]
	if d.head > 0 {
		d.say("that leaves %d bytes for a header", d.head)
	}
	if exact {
		return
	}
	for _, l := range fits[1:] {
		if l.offsets().head != fits[0].offsets().head {
			d.doubt("%s fits as well: then payloads begin elsewhere", l)
		}
	}
}

// traced reports whether headers hold the names of threads.
func (d *rtDetection) traced() (yes, known bool) {
	if l, ok := d.s.item(); ok {
		for _, f := range l.Fields {
			if f.Name == "thread" || f.Name == "owner_thread_name" {
				d.say("%s has a member %s", l.Name, f.Name)
				return true, true
			}
		}
		return false, true
	}
	if v, ok := d.s.config("RT_USING_MEMTRACE"); ok {
		d.say("RT_USING_MEMTRACE is %s in the configuration", v)
		return v == "y" || v == "1", true
	}
	if d.s.h.Config != nil {
		return false, true
	}
	if d.strange == 0 && d.named > 0 {
		d.say("%d nodes end with a name and %d with blanks where a thread's name would be", d.named, d.unnamed)
		return true, false
	}
	return false, false
}

// plain reports whether what lies where names would be leaves no doubt.
func (d *rtDetection) plain() bool { return d.strange > 1 || d.named >= 4 }

// align returns what RT_ALIGN_SIZE can be, the likeliest first.
func (d *rtDetection) align() (list []int, exact bool) {
	w := d.p.Layout.offsets().word
	if v, ok := d.s.config("RT_ALIGN_SIZE"); ok {
		if n, err := strconv.Atoi(v); err == nil && (RTThread{Kind: d.p.Layout.Kind, Bits64: d.p.Layout.Bits64, Align: n}).Validate() == nil {
			d.say("RT_ALIGN_SIZE is %d in the configuration", n)
			return []int{n}, true
		}
	}
	for a := max(w, 4); a <= 64 && d.common&heap.Addr(a-1) == 0; a *= 2 {
		list = append(list, a)
	}
	if len(list) == 0 {
		return []int{max(w, 4)}, true
	}
	// That many distances are multiples of 8 by chance is unlikely.
	if len(list) > 1 && d.p.about.Sound >= 8 {
		list[0], list[1] = list[1], list[0]
		if w == 8 {
			list[0], list[1] = list[1], list[0]
		}
	}
	return list, len(list) == 1
}

// item returns the structure of a header as debug information describes it.
func (s *rtScan) item() (heap.Struct, bool) {
	if s.h.Program == nil {
		return heap.Struct{}, false
	}
	names := []string{"rt_small_mem_item", "heap_mem"}
	if s.kinds[RTThreadMemheap] {
		names = []string{"rt_memheap_item"}
	}
	for _, name := range names {
		if l, ok := s.h.Program.Struct(name); ok {
			return l, true
		}
	}
	return heap.Struct{}, false
}

// config returns a symbol of the configuration, which .config writes with a
// prefix and rtconfig.h without.
func (s *rtScan) config(name string) (string, bool) {
	for _, n := range []string{"CONFIG_" + name, name} {
		if v, ok := s.h.Config[n]; ok {
			return v, true
		}
	}
	return "", false
}

// about completes what is known about the pool.
func (d *rtDetection) about(variable string) {
	p := d.p
	a := &p.about
	a.System = "rtthread"
	if p.Layout.Kind == RTThreadMemheap {
		a.System = "rtthread-memheap"
	}
	o := p.Layout.offsets()
	a.Layout, a.PointerSize = p.Layout.String(), o.word
	a.Span = heap.Span{Start: p.First, End: p.End + heap.Addr(o.head)}
	if p.Head != 0 && p.Head < p.First && p.First-p.Head < rtNear {
		a.Span.Start = p.Head
	}
	if variable != "" {
		d.say("the variable %s leads to it", variable)
	}
	a.Name = d.s.objectName(p.Head)
	if a.Name == "" {
		a.Name = variable
	}
	if d.s.m.bytes(a.Span.End-1, 1) == nil {
		d.doubt("the heap ends at %s, which is not in the image", a.Span.End)
	}
	if p.Layout.MemTrace {
		p.owners()
	}
}

// objectName returns the name that a kernel object begins with.
func (s *rtScan) objectName(at heap.Addr) string {
	b := s.m.some(at, rtNameMax)
	if at == 0 || !rtName(b) {
		return ""
	}
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// maxOwners bounds the names that are kept.
const maxOwners = 4096

// owners notes the names of the threads that own nodes.
func (p *RTThreadPool) owners() {
	o := p.Layout.offsets()
	m := newRAM(p.mem)
	names := make(map[heap.Owner]string)
	p.walk(func(n *heap.Node) bool {
		if n.Owner == 0 {
			return true
		}
		name := rtTrim(m.bytes(n.Addr+heap.Addr(o.name), o.nameLen))
		switch old, ok := names[n.Owner]; {
		case !ok && len(names) < maxOwners:
			names[n.Owner] = string(name)
		case ok && old != string(name) && len(old) < 64:
			names[n.Owner] = old + " or " + string(name)
		}
		return true
	}, nil, false).run()
	p.about.Owners = names
}

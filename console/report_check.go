package console

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

const (
	// maxDump bounds the bytes kept of a report's dumps of memory; LiteOS
	// prints 128.
	maxDump = 4 << 10
	// maxCheckLRs bounds the LRs of a node that a report prints.
	maxCheckLRs = 16
)

// A checkReport reads what the integrity check prints before it stops the
// device (LOSCFG_BASE_MEM_NODE_INTEGRITY_CHECK), in memcheck, memused or any
// allocation:
//
//	[ERR][OsMemIntegrityCheck], 1143, memory check error!
//	 freeNodeInfo.pstPrev:0x41414141 is out of legal mem range[0x598c0, 0x1000000]
//	      or: memory used but magic num wrong, freeNodeInfo.pstPrev(magic num):0x41414141
//	 broken node head: 0x41  0x41  0x41  0x41, pre node head: 0xfff74d13  0x9  0x8b25c  0x80000c00
//	 broken node head LR info:
//	 LR[0]:0x41414141
//	 pre node head LR info:
//	 LR[0]:0x2df80
//	 dump mem tmpNode:0x8bec8 ~ 0x8bf08
//	 0x8bec8 :41414141 41414141 41414141 41414141
//	 dump mem :0x8be88 ~ tmpNode:0x8bec8
//	 0x8be88 :cacacaca cacacaca cacacaca cacacaca
//	cur node: 0x8bec8
//	pre node: 0x8b2c8
//	pre node was allocated by task:SerialShellTask
//	cpu0 is in exc.                                  <- see reportTrace
//
// The words of a head are list prev or magic, list next or task, previous
// node, size and flags. OpenHarmony prints three or two of its own.
type checkReport struct {
	r     *liteosReports
	first int

	function    string
	reason      string
	wrong       int       // the word of the head that the reason is about
	magic       bool      // the reason is the magic, 32 bits on all devices
	pool        heap.Span // the legal range
	broken, pre []uint64  // the words of the two heads
	brokenLRs   []heap.Addr
	preLRs      []heap.Addr
	lrs         *[]heap.Addr // being printed
	dump        []heap.Memory
	dumping     bool
	dumped      int
	more        int // lines of dumps beyond maxDump
	node, prev  heap.Addr
	task        string
	taskGone    string
	firstNode   bool
	prevFree    bool
	hasPrev     bool
	trace       reportTrace
}

func (c *checkReport) line(l *reportLine) bool {
	switch {
	case l.says(sayCheck):
		if c.function != "" || c.reason != "" {
			return false // another one
		}
		if c.function = l.function(); c.function == "" {
			c.function = "OsMemIntegrityCheck"
		}
	case l.says(sayRange):
		c.outOfRange(l)
	case l.says(sayMagic):
		if c.reason == "" {
			v, _, _ := lastHex(l.text)
			c.reason, c.magic = fmt.Sprintf("the node is marked as used, but its magic is %s", v), true
		}
	case l.says(sayFirstBroken):
		c.firstNode = true
	case l.says(sayBrokenLR):
		c.lrs, c.dumping = &c.brokenLRs, false
	case l.says(sayPreLR):
		c.lrs, c.dumping = &c.preLRs, false
	case l.says(sayWords):
		c.words(l.text)
	case l.says(sayLR) && c.lrs != nil:
		_, after, _ := bytes.Cut(l.text, []byte("LR["))
		if v, _, ok := hexAfter(after, "]:"); ok && len(*c.lrs) < maxCheckLRs {
			*c.lrs = append(*c.lrs, v)
		}
	case l.says(sayDump):
		c.lrs, c.dumping = nil, true
	case l.says(sayCur | sayPre):
		c.nodes(l)
	case l.says(sayPreTask):
		c.task = l.name("pre node was allocated by task:", "")
	case l.says(sayPreTaskGone):
		c.taskGone = l.name("Task ID", "")
	case l.says(sayPreFree):
		c.prevFree = true
	case c.dumping && c.hexDump(l.text):
	case bytes.Contains(l.text, []byte("------------")), bytes.Contains(l.text, []byte("Memory integrity check error")):
	default:
		return c.trace.line(l)
	}
	return true
}

// outOfRange reads which pointer of a free node lies outside the pool.
func (c *checkReport) outOfRange(l *reportLine) {
	field := "list next"
	if bytes.Contains(l.text, []byte("pstPrev")) {
		field = "list prev"
	}
	v, _, _ := hexAfter(l.text, ":")
	if _, after, ok := bytes.Cut(l.text, []byte("pst")); ok {
		v, _, _ = hexAfter(after, ":")
	}
	start, rest, ok := hexAfter(l.text, "range[")
	end, _, ok2 := hexAfter(rest, ",")
	if c.reason != "" {
		return
	}
	if field == "list next" {
		c.wrong = 1
	}
	c.reason = fmt.Sprintf("the node is not marked as used, but its %s is %s", field, v)
	if ok && ok2 && start < end {
		c.pool = heap.Span{Start: start, End: end}
		c.reason += fmt.Sprintf(", outside the pool [%s, %s)", start, end)
	}
}

// lastHex reads the last number in the line.
func lastHex(b []byte) (heap.Addr, []byte, bool) {
	i := bytes.LastIndex(b, []byte("0x"))
	if i < 0 {
		i = bytes.LastIndex(b, []byte("(nil)"))
	}
	if i < 0 {
		return 0, nil, false
	}
	return hexAt(b[i:])
}

// words reads the two heads. Those of the first line count.
func (c *checkReport) words(text []byte) {
	_, after, _ := bytes.Cut(text, []byte("broken node head: "))
	if len(c.broken) > 0 {
		return
	}
	read := func(b []byte) (words []uint64, rest []byte) {
		for len(words) < 4 {
			v, r, ok := hexAt(b)
			if !ok {
				break
			}
			words, b = append(words, uint64(v)), r
		}
		return words, b
	}
	c.broken, after = read(after)
	if _, after, ok := bytes.Cut(after, []byte("node head: ")); ok {
		c.pre, _ = read(after)
	}
}

// nodes reads the addresses of the two nodes, of which OpenHarmony prints both
// in one line.
func (c *checkReport) nodes(l *reportLine) {
	c.lrs, c.dumping = nil, false
	if v, ok := l.hex("cur node: "); ok && c.node == 0 {
		c.node = v
	}
	if v, ok := l.hex("pre node: "); ok && !c.hasPrev {
		c.prev, c.hasPrev = v, true
	}
}

// hexDump reads a line of a dump: "0x8bec8 :41414141 00000000", words of the
// device's size.
func (c *checkReport) hexDump(text []byte) bool {
	i := bytes.Index(text, []byte("0x"))
	if i < 0 {
		return false
	}
	addr, rest, ok := hexAt(text[i:])
	if !ok || !bytes.HasPrefix(rest, []byte(" :")) {
		return false
	}
	rest = rest[2:]
	var b []byte
	for {
		rest = rest[skipSpace(rest, 0):]
		digits := 0
		var v uint64
		for digits < len(rest) && hexDigit[rest[digits]] <= 15 && digits <= 16 {
			v = v<<4 | uint64(hexDigit[rest[digits]])
			digits++
		}
		if digits == 8 {
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		} else if digits == 16 {
			b = binary.LittleEndian.AppendUint64(b, v)
		} else {
			break
		}
		rest = rest[digits:]
	}
	if c.dumped+len(b) > maxDump {
		c.more++
		return true
	}
	c.dumped += len(b)
	if len(b) > 0 {
		c.dump = append(c.dump, heap.Memory{Addr: addr, Bytes: b})
	}
	return true
}

func (c *checkReport) complete() bool {
	return c.node != 0 && c.hasPrev && len(c.trace.lrs) > 0
}

// geometry finds out how the nodes are laid out: the magic of the used node in
// front names the address of its own control header.
func (c *checkReport) geometry() *liteosLayout {
	if len(c.pre) != 4 || len(c.broken) != 4 {
		return nil
	}
	word := 4
	if c.pre[0]>>32 != 0 || c.broken[0]>>32 != 0 || uint64(c.node)>>32 != 0 {
		word = 8
	}
	slot := int64(^uint32(c.pre[0])) - int64(uint32(c.prev))
	if c.pre[3]&liteosUsed == 0 || slot < 0 || slot > 80 {
		if l := c.r.layout; l != nil && (word == 4 || l.word == 8) {
			return l
		}
		return nil
	}
	if slot == 0 {
		if word == 4 && c.wideDump() {
			word = 8
		}
		return bareLayout(word, len(c.preLRs) > 0)
	}
	return layoutOf(slot)
}

// wideDump reports whether the dump consists of 64-bit words: LiteOS prints
// eight a line then, and four otherwise.
func (c *checkReport) wideDump() bool {
	return slices.ContainsFunc(c.dump, func(m heap.Memory) bool { return len(m.Bytes) > 16 })
}

func (c *checkReport) finish(cut string) {
	f := c.r.finding(heap.HeaderDamaged, c.first)
	f.Op = "check"
	f.Node = c.node
	f.Detail = c.reason
	lay := c.geometry()
	c.r.learn(lay)
	c.heads(f, lay)
	if c.falseAlarm(lay) {
		f.Cause = "a false alarm: the magic is right, but the device compares its 32 bits with 64 bits of the address, so its integrity check fails on every used node"
		for i := range f.Fields {
			f.Fields[i].Differs = false
		}
		f.Span = heap.Span{}
	}
	f.Memory = append(f.Memory, c.dump...)
	f.Memory = joinMemory(f.Memory)
	var parts []string
	for _, p := range []struct {
		absent bool
		what   string
	}{
		{c.function == "", "the first line"},
		{c.reason == "", "what the check found"},
		{len(c.broken) == 0, "the damaged head"},
		{c.node == 0, "the damaged node"},
		{!c.hasPrev, "the node in front of it"},
		{len(c.trace.lrs) == 0, "where the device stopped"},
	} {
		if p.absent {
			parts = append(parts, p.what)
		}
	}
	f.Partial = sentences(cutText(cut), missingText(parts...), left(c.more, "line"))
	c.trace.put(f)
	c.r.emit(f)
}

// heads stores what the two heads say.
func (c *checkReport) heads(f *heap.Finding, lay *liteosLayout) {
	c.fields(f)
	if lay != nil && c.node != 0 && len(c.broken) == 4 {
		f.Memory = c.brokenMemory(lay)
		c.span(f, lay)
	}
	if !c.hasPrev || c.prev == 0 || c.prev == c.node || c.firstNode {
		if c.firstNode {
			f.Detail = sentences(f.Detail, "it is the pool's first node")
		}
		return
	}
	n := &heap.Node{Addr: c.prev, State: heap.Used, Stack: trimmed(c.preLRs)}
	f.Previous = n
	if len(c.pre) == 4 {
		h := ctlHeader{at: c.prev, prev: c.pre[0], next: c.pre[1], pre: c.pre[2], size: c.pre[3]}
		n = h.node(c.prev, lay)
		n.Stack = trimmed(c.preLRs)
		if h.size&liteosAligned != 0 {
			n.Payload = 0 // the gap is not printed
		}
		f.Previous = n
	}
	if c.task != "" && n.State == heap.Used {
		f.Owners = map[heap.Owner]string{n.Owner: c.task}
	}
	if c.taskGone != "" {
		f.Detail = sentences(f.Detail, "the task that allocated the node in front of it does not exist: ID"+c.taskGone)
	}
}

// fields stores the words of the damaged head in the order in which they lie in
// memory, and marks those that are known to be wrong.
func (c *checkReport) fields(f *heap.Finding) {
	add := func(name, value string, wrong bool) {
		f.Fields = append(f.Fields, heap.Field{Name: name, Header: value, Differs: wrong})
	}
	word := func(i int) string { return fmt.Sprintf("%#x", c.broken[i]) }
	switch len(c.broken) {
	case 4:
		add("prev/magic", word(0), c.isWrong(0))
		add("next/task id", word(1), c.isWrong(1))
		add("previous node", word(2), c.isWrong(2))
	case 3: // OpenHarmony, with a magic in front of all
		add("magic", word(1), true)
		add("previous node", word(0), false)
	case 2:
		add("previous node", word(0), false)
	}
	for i, lr := range c.brokenLRs {
		add(fmt.Sprintf("LR[%d]", i), lr.String(), false)
	}
	switch len(c.broken) {
	case 4:
		add("size and flags", word(3), false)
	case 2, 3:
		add("sizeAndFlag", word(len(c.broken)-1), false)
	}
}

// isWrong reports whether a word of the damaged head is known to be wrong: what
// the check complained about, and a link to another node than the one in front.
func (c *checkReport) isWrong(word int) bool {
	if word == 2 {
		return c.hasPrev && c.prev != c.node && !c.firstNode && c.broken[2] != uint64(c.prev)
	}
	return c.reason != "" && word == c.wrong
}

// span stores the range of bytes known to be wrong.
func (c *checkReport) span(f *heap.Finding, lay *liteosLayout) {
	at := c.node + heap.Addr(lay.slot)
	for word := range 3 {
		if !c.isWrong(word) {
			continue
		}
		start := at + heap.Addr(word*lay.word)
		if f.Span.Len() == 0 {
			f.Span.Start = start
		}
		f.Span.End = start + heap.Addr(lay.word)
		if word == 0 && c.magic {
			f.Span.End = start + 4
		}
	}
}

// falseAlarm reports whether the magic that the check complains about is right:
// 64-bit devices compare it with 64 bits of an address.
func (c *checkReport) falseAlarm(lay *liteosLayout) bool {
	return c.magic && lay != nil && lay.word == 8 && len(c.broken) == 4 && c.node != 0 &&
		uint32(c.broken[0]) == ^uint32(c.node+heap.Addr(lay.slot))
}

// brokenMemory is the damaged head as it lies in memory.
func (c *checkReport) brokenMemory(lay *liteosLayout) []heap.Memory {
	at := c.node + heap.Addr(lay.slot)
	put := func(b []byte, v uint64) []byte {
		if lay.word == 8 {
			return binary.LittleEndian.AppendUint64(b, v)
		}
		return binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	pieces := []heap.Memory{{Addr: at, Bytes: put(put(put(nil, c.broken[0]), c.broken[1]), c.broken[2])}}
	if lay.lrs > 0 && len(c.brokenLRs) > 0 && lay.lrs+len(c.brokenLRs)*lay.word <= lay.size() {
		var b []byte
		for _, lr := range c.brokenLRs {
			b = put(b, uint64(lr))
		}
		pieces = append(pieces, heap.Memory{Addr: at + heap.Addr(lay.lrs), Bytes: b})
	}
	return append(pieces, heap.Memory{Addr: at + heap.Addr(lay.size()), Bytes: binary.LittleEndian.AppendUint32(nil, uint32(c.broken[3]))})
}

// trimmed copies LRs without the levels that were not there.
func trimmed(lrs []heap.Addr) heap.Stack {
	return append(heap.Stack{}, trimZeros(lrs)...)
}

// joinMemory sorts pieces of memory and joins those that touch or overlap;
// where they overlap, the first one given counts.
func joinMemory(pieces []heap.Memory) []heap.Memory {
	pieces = slices.Clone(pieces)
	slices.SortStableFunc(pieces, func(a, b heap.Memory) int {
		switch {
		case a.Addr < b.Addr:
			return -1
		case a.Addr > b.Addr:
			return 1
		}
		return 0
	})
	var joined []heap.Memory
	for _, p := range pieces {
		if k := len(joined); k > 0 {
			last := &joined[k-1]
			if end := last.Addr + heap.Addr(len(last.Bytes)); p.Addr <= end && end >= last.Addr {
				if over := int(end - p.Addr); over < len(p.Bytes) {
					last.Bytes = append(slices.Clip(last.Bytes), p.Bytes[over:]...)
				}
				continue
			}
		}
		joined = append(joined, p)
	}
	return joined
}

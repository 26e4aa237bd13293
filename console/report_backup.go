package console

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// maxBad bounds the damaged nodes that one report or list names.
const maxBad = 64

// A backupReport reads what a device with LOSCFG_MEM_HEAD_BACKUP prints when a
// checksum is wrong. It consists of blocks, each with its own title:
//
//	[ERR][OsMemNodePrevTryGet]: the node information of current node is bad !!
//	node:0xb696c checksum=0x41414141[0x9fecffae] freeNodeInfo.pstPrev=...      the header
//	[ERR]the detailed information of previous node:
//	[ERR]************************************************
//	node:0xb5d6c checksum=0xa1524c7c[0xa1524c7c] ...       header of the node in front
//	[ERR]the address of node :0xb5d48                      its start
//	[ERR]allocated by task: SerialShellTask [ID = 0x0]     or: this is a FREE node
//	[ERR]************************************************
//
//	[ERR]the backup node information of current node in previous node:
//	node:0xb5d48 ...                                       the backup of the header
//	[ERR]the detailed information of previous node:        and the node in front again
//
// The device then restores the header from the backup, which it does not
// check, and writes the node's own backup anew; if the header behind is bad:
//
//	[ERR][OsMemBackupSetup4Next]the next node is broken!!
//	node:0xb756c ...                                       the header behind
//	[ERR]Current node details:                             the node just restored
//
// One operation can report several nodes on its walk through the heap, nested
// in each other, and the same restoration twice; the details of the node in
// front say which header a block is about. LOS_MemBadNodeShow prints headers
// one after the other, only the bad ones followed by blocks, and "check
// finish".
type backupReport struct {
	r   *liteosReports
	gap *gapReport // what the free complained about before; nil: nothing

	bads    []*badNode
	more    int // beyond maxBad
	section section
	backup  *ctlHeader // read, and not yet known whose it is
	details *details   // being read
	first   bool       // the next node named is the pool's first one
	target  *badNode   // whose blocks came last

	listed   ctlHeader // of the list, the line before; at 0: none
	listBad  bool      // it was bad
	finished bool      // "check finish" came
	walk     walk
}

// A walk is a list of LOS_MemBadNodeShow in which no node is bad.
type walk struct {
	line, nodes int
	whole       bool // nothing is missing

	first ctlHeader // of the list
	slot  heap.Addr // from a node's start to its own header
	gap   bool      // a node does not name the one listed before
}

// add takes in the next header of the list, the one behind before.
func (w *walk) add(h, before ctlHeader, line int) {
	w.nodes++
	if before.at == 0 {
		w.first, w.line = h, line
		return
	}
	slot := before.at - heap.Addr(h.pre)
	if w.nodes == 2 {
		w.slot = slot
	}
	w.gap = w.gap || slot != w.slot || h.at <= before.at
}

// ended reports whether the list goes from the pool's first node, which names
// its end node as the one in front, to that end node.
func (w *walk) ended(last ctlHeader) bool {
	return w.nodes > 1 && !w.gap && heap.Addr(w.first.pre) == last.at-w.slot
}

// A section says what the next control header printed is.
type section uint8

const (
	inList     section = iota // one of LOS_MemBadNodeShow's list
	inBad                     // the damaged one
	inBackup                  // a backup
	inDetails                 // that of the node in front
	inCurrent                 // that of the node just restored
	inNext                    // the damaged one behind it
	afterLines                // nothing: the block is over
)

func (b *backupReport) line(l *reportLine) bool {
	const blocks = sayBadNode | sayBadBackup | sayEndBad | sayEndBackupBad | sayNextBroken
	switch {
	case l.says(blocks):
		b.bad(l)
	case l.says(sayHeader):
		h, ok := controlHeader(l.text)
		if !ok {
			return false
		}
		b.header(h, l)
	case l.says(sayFirst):
		b.endDetails()
		b.first = true
	case l.says(sayBackup):
		b.endDetails()
		b.settle()
		b.section = inBackup
	case l.says(sayPrevious | sayCurrent):
		b.endDetails()
		current := l.says(sayCurrent) || b.target != nil && b.target.next && b.target.previous == nil
		b.details = &details{current: current}
		b.section = inDetails
	case l.says(sayNoPrevious):
		b.endDetails()
		if k := len(b.bads); k > 0 {
			b.bads[k-1].noPrev = true
		}
	case l.says(sayFinish):
		b.endDetails()
		b.finished = true
	case l.says(sayNoNode | sayModule | sayNoTask):
	default:
		return b.detail(l)
	}
	return true
}

// detail reads a line of the details of a node.
func (b *backupReport) detail(l *reportLine) bool {
	d := b.details
	if d == nil {
		if !l.says(sayAddress | sayFree) {
			return l.says(sayStars) && len(b.bads) > 0 && !l.says(sayTraceBegin)
		}
		d = &details{}
		b.details = d
	}
	switch {
	case l.says(sayAddress):
		if d.addr, d.hasAddr = l.hex("address of node :"); !d.hasAddr {
			d.addr, d.hasAddr = l.hex("address: ")
		}
		if slot := int64(d.header.at) - int64(d.addr); d.hasAddr && d.header.fields > 0 {
			b.r.learn(layoutOf(slot))
		}
	case l.says(sayFree):
		d.free = true
	case l.says(sayPreTask):
		return false
	case l.says(sayTask):
		if _, after, _ := bytes.Cut(l.text, []byte("allocated by task: ")); bytes.IndexByte(after, '[') >= 0 {
			d.task = l.name("allocated by task: ", "[") // else the name may be cut
		}
	case l.says(sayTaskGone):
		d.gone = l.name("[ID: ", "]")
	case l.says(sayStars):
		if d.stars++; d.stars == 2 || d.hasAddr {
			b.endDetails()
		}
	default:
		return false
	}
	return true
}

// bad begins a block about a damaged header or backup.
func (b *backupReport) bad(l *reportLine) {
	b.endDetails()
	b.settle()
	n := &badNode{line: l.number, function: l.function(), kind: heap.HeaderDamaged, first: b.first}
	b.first = false
	switch {
	case l.says(sayBadBackup):
		n.kind = heap.BackupDamaged
	case l.says(sayEndBad):
		n.end, n.first = true, false
	case l.says(sayEndBackupBad):
		n.kind, n.end, n.first = heap.BackupDamaged, true, false
	case l.says(sayNextBroken):
		n.next = true
		if b.target == nil && len(b.bads) > 0 {
			b.target = b.bads[len(b.bads)-1]
		}
		if b.target != nil {
			b.target.nextBad = true
			n.function = b.target.function
		}
	}
	b.add(n)
	b.section = inBad
}

func (b *backupReport) add(n *badNode) {
	b.target = n
	if len(b.bads) == maxBad {
		b.more++
		return
	}
	b.bads = append(b.bads, n)
}

// header takes in a control header.
func (b *backupReport) header(h ctlHeader, l *reportLine) {
	section := b.section
	b.section = afterLines
	switch section {
	case inBad:
		b.target.header = h
	case inBackup:
		b.backup = &h
	case inDetails:
		b.details.header = h
		b.section = inDetails
	default:
		b.endDetails()
		b.list(h, l)
	}
}

// list takes in a header that LOS_MemBadNodeShow lists. What it lists behind a
// bad node it found by that node's wrong size: further bad ones mean nothing.
func (b *backupReport) list(h ctlHeader, l *reportLine) {
	if !h.whole() {
		// The line is garbled; but what the device thought of it can be there.
		if h.fields >= 3 && h.sum != h.recomputed && !b.listBad {
			b.add(&badNode{line: l.number, function: "LOS_MemBadNodeShow", kind: heap.HeaderDamaged, header: h, list: true})
			b.listBad = true
		}
		return
	}
	// The list goes from header to header by their sizes: one that does not
	// lie where the one before ends is no part of it, or has lost digits.
	before := b.listed
	follows := before.good() && h.at == before.at+heap.Addr(before.total())
	laundered := h.good() && !h.magic() && follows
	if before.at != 0 && !b.listBad && h.good() && h.at > before.at {
		b.r.learn(layoutOf(int64(before.at) - int64(h.pre)))
	}
	if (!h.good() || laundered) && !b.listBad {
		b.add(&badNode{
			line: l.number, function: "LOS_MemBadNodeShow", kind: heap.HeaderDamaged,
			header: h, list: true, laundered: laundered,
		})
	}
	b.walk.add(h, b.listed, l.number)
	if b.listed, b.listBad = h, !h.good(); !b.listBad {
		b.r.lines-- // a list can be as long as the heap has nodes
	}
}

// endDetails decides which damaged header the details just read belong to: the
// one that lies where their node ends.
func (b *backupReport) endDetails() {
	d := b.details
	b.details = nil
	if b.section == inDetails {
		b.section = afterLines
	}
	if d == nil || d.header.fields == 0 && !d.hasAddr {
		return
	}
	if d.current {
		if t := b.target; t != nil && t.next {
			t.previous = d
		}
		return
	}
	t := b.behind(d)
	if t == nil {
		if t = b.target; t == nil && len(b.bads) > 0 {
			t = b.bads[len(b.bads)-1]
		}
	}
	if t == nil {
		t = &badNode{line: b.r.last, kind: heap.HeaderDamaged}
		b.add(t)
	}
	b.target = t
	if t.previous == nil {
		t.previous = d
	}
	if b.backup != nil && t.backup == nil && t.kind == heap.HeaderDamaged {
		t.backup = b.backup
	}
	b.backup = nil
}

// behind returns the damaged node behind the one that d is about.
func (b *backupReport) behind(d *details) *badNode {
	if !d.header.good() || !d.hasAddr {
		return nil
	}
	end := d.addr + heap.Addr(d.header.total())
	for _, n := range slices.Backward(b.bads) {
		start := n.header.at
		if n.kind == heap.HeaderDamaged {
			start -= d.header.at - d.addr
		}
		if n.header.at != 0 && start == end {
			return n
		}
	}
	return nil
}

// settle gives a backup without details to the node whose blocks came last.
func (b *backupReport) settle() {
	if b.backup == nil {
		return
	}
	t := b.target
	if t == nil {
		t = &badNode{line: b.r.last, kind: heap.HeaderDamaged}
		b.add(t)
	}
	if t.backup == nil && t.kind == heap.HeaderDamaged {
		t.backup = b.backup
	}
	b.backup = nil
}

func (b *backupReport) complete() bool {
	if len(b.bads) == 0 {
		return b.gap == nil
	}
	if b.finished {
		return true
	}
	if b.details != nil || b.backup != nil || b.section != afterLines && b.section != inList {
		return false
	}
	return !slices.ContainsFunc(b.bads, func(n *badNode) bool { return n.missing() != "" })
}

func (b *backupReport) finish(cut string) {
	b.endDetails()
	b.settle()
	// A node in front of another explains what happened to that one.
	slices.SortStableFunc(b.bads, func(x, y *badNode) int { return cmp.Compare(x.header.at, y.header.at) })
	if b.gap != nil && len(b.bads) == 0 {
		b.gap.finish(cut)
		return
	}
	if len(b.bads) == 0 && b.walk.nodes > 1 {
		b.walk.whole = b.finished && b.walk.ended(b.listed)
		b.r.walked(b.walk)
	}
	for i, n := range b.bads {
		f := n.finding(b.r)
		if n.missing() != "" && (!n.bare() || cut == logEnds || cut == deviceRestarts) {
			f.Partial = sentences(cutText(cut), f.Partial)
		}
		if b.more > 0 && i == len(b.bads)-1 {
			f.Partial = sentences(f.Partial, plain.Plural(b.more, "damaged node")+" more in this report left out")
		}
		if b.gap != nil && i == len(b.bads)-1 {
			f.Detail = sentences(f.Detail, b.gap.detail())
		}
		b.r.emit(f)
	}
}

func (r *liteosReports) walked(w walk) {
	if len(r.walks) == maxWalks {
		r.moreWalks++
		return
	}
	r.walks = append(r.walks, w)
}

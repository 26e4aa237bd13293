package console

import (
	"bytes"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// A wildReport reads the message about a pointer that is no payload:
//
//	[ERR]*****************************************************
//	[ERR]find a control block at: 0xb7804, gap size: 0x0, sizeof(LosMemDynNode): 0x48
//	[ERR]the pointer should be: 0xb784c
//	[ERR]the pointer given is: 0xb785c
//	[ERR]PROBABLY A WILD POINTER
//	runTask->taskName = SerialShellTask
//	*******backtrace begin*******
//	traceback 0 -- lr = 0x13c9c    fp = 0xa8bd4
//	[ERR]*****************************************************
//
// The device walked the heap up to the node that the pointer lies in, and
// verified each header on the way. It does not say whether that node is used.
type wildReport struct {
	r     *liteosReports
	first int
	gap   *gapReport // what the free complained about before; nil: nothing

	node, should, given heap.Addr
	head                uint64 // sizeof(LosMemDynNode)
	aligned             uint64 // gap size: what an aligned allocation skips
	seen                uint64 // which of the lines came
	trace               reportTrace
	ended               bool
}

func (w *wildReport) line(l *reportLine) bool {
	what := l.say & (sayControl | sayShould | sayGiven | sayWild)
	switch {
	case w.ended || w.seen&what != 0:
		return false // the next report
	case l.says(sayControl):
		node, _, ok := hexAfter(l.text, "block at: ")
		head, _, sized := hexAfter(l.text, "NODE): ")
		if !sized {
			head, _, sized = hexAfter(l.text, "Node): ")
		}
		if !ok || !sized {
			w.seen |= what
			return true
		}
		gap, _, _ := hexAfter(l.text, "gap size: ")
		w.node, w.head, w.aligned = node, uint64(head), uint64(gap)
		w.r.learn(layoutOfHead(w.head))
	case l.says(sayShould):
		w.should, _ = l.hex("should be: ")
	case l.says(sayGiven):
		w.given, _ = l.hex("given is: ")
	case l.says(sayWild):
	case w.trace.line(l):
		return true
	case l.says(sayStars):
		w.ended = w.trace.begun
		return true
	default:
		return false
	}
	w.seen |= what
	return true
}

func (w *wildReport) complete() bool { return w.ended && w.missing() == "" }

func (w *wildReport) missing() string {
	var parts []string
	for _, p := range []struct {
		absent bool
		what   string
	}{
		{w.node == 0, "the node that the pointer lies in"},
		{w.should == 0, "the pointer that it should be"},
		{w.given == 0, "the pointer given"},
		{!w.ended && len(w.trace.lrs) == 0, "the backtrace"},
		{!w.ended && len(w.trace.lrs) > 0, "the end of the backtrace"},
	} {
		if p.absent {
			parts = append(parts, p.what)
		}
	}
	return missingText(parts...)
}

// contradicts reports whether the addresses do not fit each other: the payload
// lies behind the head of the node and the gap, and the device looks for the
// node below the pointer.
func (w *wildReport) contradicts() bool {
	switch {
	case w.node == 0:
		return false
	case w.should != 0 && w.should != w.node+heap.Addr(w.head+w.aligned):
		return true
	}
	return w.given != 0 && w.given < w.node
}

func (w *wildReport) finish(cut string) {
	f := w.r.finding(heap.InsideNode, w.first)
	f.Op = "free"
	f.Node, f.Expected, f.Pointer = w.node, w.should, w.given
	lost := ""
	if w.contradicts() {
		f.Expected = 0
		lost = "the addresses in the report contradict each other: digits of it are lost"
	} else if w.node != 0 && w.given != 0 && w.should != 0 && w.given != w.should {
		d, where := int64(w.given-w.should), "behind"
		if d < 0 {
			d, where = -d, "in front of"
		}
		f.Detail = fmt.Sprintf("it points %d bytes %s the start of the payload of node %s", d, where, w.node)
	}
	if !w.trace.rising() {
		lost = sentences(lost, "the frame pointers of the backtrace are not in order: digits of it are lost")
	}
	f.Partial = sentences(cutText(cut), w.missing(), lost)
	w.trace.put(f)
	if w.gap != nil {
		f.Detail = sentences(f.Detail, w.gap.detail())
	}
	w.r.emit(f)
}

// A gapReport reads the complaint about the word in front of a pointer that is
// freed or reallocated. In an aligned allocation the word holds the gap with
// bit 30 set; else it is the last of the control header, size and flags.
//
//	[ERR][OsMemFree:1699]gapSize:0xffffffff error        <- both flags set: gives up
//	[ERR]illegal gapSize: 0x1414141                      <- bit 30 set, no gap: goes on
type gapReport struct {
	r        *liteosReports
	first    int
	illegal  bool
	read     bool
	function string
	word     uint64
	cut      bool
}

func (g *gapReport) line(l *reportLine) bool {
	if g.read || !l.says(sayGap|sayBadGap) {
		return false
	}
	g.read = true
	g.illegal = l.says(sayBadGap)
	key := "]gapSize:"
	if g.illegal {
		key = "illegal gapSize: "
	}
	v, rest, ok := hexAfter(l.text, key)
	g.word = uint64(v)
	g.function = l.function()
	if g.illegal {
		g.word |= liteosAligned // which the device masks out
		g.function = "OsMemFree"
		g.cut = !ok
	} else {
		g.cut = !ok || !bytes.HasPrefix(rest, []byte(" error"))
	}
	return true
}

// complete: more follows an illegal gap on devices that keep backups.
func (g *gapReport) complete() bool { return g.read && !(g.illegal && g.r.ended) }

func (g *gapReport) detail() string {
	return fmt.Sprintf("the word in front of the pointer given is %#x, which no allocation leaves there", g.word)
}

func (g *gapReport) finish(cut string) {
	f := g.r.finding(heap.HeaderDamaged, g.first)
	f.Op = operation(g.function)
	f.Fields = []heap.Field{{Name: "size and flags", Header: fmt.Sprintf("%#x", g.word)}}
	f.Detail = sentences(g.detail(), "the device names neither the pointer nor the node")
	f.Partial = cutText(cut)
	if g.cut {
		f.Partial = sentences(f.Partial, "the line is cut: the word may have more digits")
	}
	g.r.emit(f)
}

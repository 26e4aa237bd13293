package damage

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// An Overwrite is the damaged head of a node as a dump shows it: all bytes that
// are there, and beside them what else is known about what should be there.
type Overwrite struct {
	At       heap.Addr  // the start of the node, and of Have
	Have     []byte     // its head, up to its payload
	Want     []byte     // what should be there, as long as Have
	Known    []bool     // which bytes of Want are known, as long as Have
	Ahead    []byte     // what lies in front of At: the end of the payload in front
	Behind   []byte     // what lies behind Have: the node's own payload
	Previous *heap.Node // the node in front; nil: there is none, or none is known
	Subject  *heap.Node // the node itself, as believed; nil: nothing is known
	Trail    *Trail     // what was found at Previous, if its head is damaged too
	Heads    string     // what Have is called, "the control header"

	// Word is the size of a pointer in bytes; 0: 8 where At does not fit into 4
	// bytes, else 4. BigEndian is the order of a word's bytes.
	Word      int
	BigEndian bool
	// Where names what lies at an address, as a noun that fits behind "into":
	// "the payload of node 0x1000", "code: function main", "the pool's head";
	// "" if no pointer has any business there. With it, overwritten words that
	// are pointers are told for what they are. nil: nothing is known but where
	// the damage is.
	Where func(heap.Addr) string
	// CopyOf names the node of whose head Have[first:end], the bytes that were
	// overwritten, is a copy or a part of one, "the head of node 0x1000"; "" if it
	// is none. nil: cannot be told.
	CopyOf func(first, end int) string
}

// A Trail is what the damage at one node means for the node behind it.
type Trail struct {
	Culprit *heap.Node
	Reason  string
	whole   bool // the damage reaches the end of the head: it goes on in the payload
	b       byte // with same
	same    bool // it is all one byte
	text    bool // it is text, and goes on
}

// overwritten is where the wrong bytes lie in Have.
type overwritten struct {
	first, end int  // the bytes known to be wrong, and what of unknown ones continues them
	same       bool // all of them are b
	b          byte
	text       bool // they are text that does not end there
	front      bool // nothing in front of them is known to be intact
	back       bool // nothing behind them is
	flipped    bool // a single bit
}

// Explain fills in what the bytes tell: Span, Reach, Culprit, CulpritReason and
// Cause. It returns what that means for the node behind; nil if no byte is
// known to be wrong, and then f stays as it is.
func (o *Overwrite) Explain(f *heap.Finding) *Trail {
	w, ok := o.locate()
	if !ok {
		return nil
	}
	f.Span = heap.Span{Start: o.At + heap.Addr(w.first), End: o.At + heap.Addr(w.end)}
	with := o.reach(f, w)
	t := &Trail{whole: w.back, b: w.b, same: w.same, text: w.text}
	c := docket{Finding: f}
	n := plain.Plural(w.end-w.first, "byte")
	switch {
	case w.flipped:
		f.Cause = "a single bit is wrong: a memory fault, or a write of one flag through a wild or stale pointer"
	case w.front:
		o.overflow(&c, w, with)
	case w.back && o.Subject != nil && o.Subject.State == heap.Free:
		f.Culprit, f.CulpritReason = o.Subject, "the damage ends where its payload begins: whoever used this memory last may still write to it"
		f.Cause = fmt.Sprintf("an underflow, or a write after free: %s in front of the payload of a free node hold %s", n, with)
	case w.back && o.Subject != nil:
		f.Culprit, f.CulpritReason = o.Subject, "underflow: the damage ends where its own payload begins and does not reach the start of "+o.heads()
		f.Cause = fmt.Sprintf("an underflow: %s in front of %s hold %s; a write to negative offsets of it, or through a pointer that is a little too low, does that", n, c.buffer(o.Subject), with)
	default:
		f.Cause = fmt.Sprintf("a stray write: %s hold %s, and bytes on both sides of them are intact, so neither the buffer in front nor the node's own ran into them; a write through a wild or stale pointer does that", n, with)
	}
	t.Culprit, t.Reason = f.Culprit, f.CulpritReason
	return t
}

func (o *Overwrite) heads() string {
	if o.Heads == "" {
		return "the control header"
	}
	return o.Heads
}

// locate finds the wrong bytes.
func (o *Overwrite) locate() (w overwritten, ok bool) {
	w.first = -1
	var flips int
	for i, known := range o.Known {
		if known && o.Have[i] != o.Want[i] {
			if w.first < 0 {
				w.first = i
			}
			w.end = i + 1
			flips += bits.OnesCount8(o.Have[i] ^ o.Want[i])
		}
	}
	if w.first < 0 {
		return w, false
	}
	w.b, w.same = o.Have[w.first], true
	for _, c := range o.Have[w.first:w.end] {
		w.same = w.same && c == w.b
	}
	w.text = !w.same && w.end-w.first >= minRun && printable(string(o.Have[w.first:w.end]))
	// Bytes about which nothing is known are wrong if they continue a run.
	// Zeroes are too common for that.
	long := w.same && w.end-w.first >= minRun
	for long && w.b != 0 && w.first > 0 && !o.Known[w.first-1] && o.Have[w.first-1] == w.b {
		w.first--
	}
	for long && w.b != 0 && w.end < len(o.Have) && !o.Known[w.end] && o.Have[w.end] == w.b {
		w.end++
	}
	// A byte may have been overwritten with what it was.
	intact := func(i int) bool { return o.Known[i] && !(w.same && o.Have[i] == w.b) }
	w.front, w.back = true, true
	for i := range w.first &^ 3 {
		w.front = w.front && !intact(i)
	}
	for i := (w.end + 3) &^ 3; i < len(o.Have); i++ {
		w.back = w.back && !intact(i)
	}
	// The first bytes of a word that an overflow begins in may have been what was
	// written. But where the damage goes on up to the node's own payload, they are
	// rather what an underflow left.
	if w.first&3 != 0 && w.back && !(w.same && o.ahead(w) > 0) {
		for i := w.first &^ 3; i < w.first; i++ {
			w.front = w.front && !intact(i)
		}
	}
	// One zero too many, in front or behind, can look like a bit as well.
	w.flipped = flips == 1 && !(w.b == 0 && (w.first == 0 || w.end == len(o.Have)))
	return w, true
}

// looks says what the overwriting bytes look like.
func (o *Overwrite) looks(w overwritten) string {
	l := look{
		b: o.Have[w.first:w.end], at: o.At + heap.Addr(w.first), near: o.At,
		word: o.Word, big: o.BigEndian, where: o.Where,
	}
	if o.CopyOf != nil {
		l.copyOf = o.CopyOf(w.first, w.end)
	}
	if l.word != 4 && l.word != 8 {
		if l.word = 4; o.At >= 1<<32 {
			l.word = 8
		}
	}
	// The first and the last word may have been written as a whole, some bytes
	// with what they were.
	n := heap.Addr(l.word)
	from := w.first - min(w.first, int(l.at%n))
	end := min(len(o.Have), w.end+int(-(o.At+heap.Addr(w.end))%n))
	l.wide, l.wideAt = o.Have[from:end], o.At+heap.Addr(from)
	l.asIs = func(off, n int) bool {
		for i := from + off; i < from+off+n; i++ {
			if !o.Known[i] || o.Have[i] != o.Want[i] {
				return false
			}
		}
		return true
	}
	return l.String()
}

// reach says what the overwriting bytes look like and how far they go, and
// returns the first part of that.
func (o *Overwrite) reach(f *heap.Finding, w overwritten) string {
	with := o.looks(w)
	if w.flipped {
		with = fmt.Sprintf("one flipped bit, 0x%02x in place of 0x%02x", o.Have[w.first], o.Want[w.first])
	}
	f.Reach = with
	if w.end-w.first < minRun || w.b == 0 || !w.same && !w.text {
		return with
	}
	behind := 0
	for behind < len(o.Behind) && w.continues(o.Behind[behind]) {
		behind++
	}
	least := 1 // of text, a byte or two are chance
	if w.text {
		least = minRun
	}
	if n := o.ahead(w); n >= least && w.front {
		f.Reach += fmt.Sprintf(", as in the last %s in front", plain.Plural(n, "byte"))
	}
	switch {
	case w.end < len(o.Have) && !w.back || behind < least:
	case behind == len(o.Behind):
		f.Reach += fmt.Sprintf(", and on in the payload behind for %d bytes or more", behind)
	default:
		f.Reach += fmt.Sprintf(", and on in the payload behind for %s", plain.Plural(behind, "byte"))
	}
	return with
}

// continues reports whether a byte beside the damage can be of the same write.
func (w *overwritten) continues(c byte) bool {
	if w.same {
		return c == w.b
	}
	return w.text && printable(string(rune(c)))
}

// ahead counts the bytes directly in front that continue the damage.
func (o *Overwrite) ahead(w overwritten) int {
	n := 0
	for n < len(o.Ahead) && w.continues(o.Ahead[len(o.Ahead)-1-n]) {
		n++
	}
	return n
}

// goesOn reports whether what overwrote the node in front goes on here. Two
// buffers next to each other that both overflow are rare; one write through both
// is not, unless what lies in between speaks against it:
//
//   - one byte over and over, or text, must fill the payload in between;
//   - such a byte in one head, and not in the other, are two writes, except for
//     zeroes, of which any data has some.
//
// Where it is not known what lies in front only the first is believed.
func (o *Overwrite) goesOn(w overwritten) bool {
	t := o.Trail
	switch {
	case t == nil || !t.whole:
		return false
	case w.same && t.same && w.b == t.b || w.text && t.text:
		return o.ahead(w) == len(o.Ahead) && (o.Previous != nil || len(o.Ahead) >= minRun)
	case w.same && t.same || w.same && w.b != 0 || t.same && t.b != 0:
		return false
	}
	return o.Previous != nil
}

// overflow explains damage that begins where the payload in front ends.
func (o *Overwrite) overflow(c *docket, w overwritten, with string) {
	p := o.Previous
	if o.goesOn(w) {
		o.through(c, with)
		return
	}
	if p == nil {
		c.Cause = "what lies in front of the node was written past its end: the damage begins with the first byte of " + o.heads() + ", with " + with
		return
	}
	c.Culprit = p
	if p.State != heap.Used {
		c.CulpritReason = "the memory in front is free: whoever used it last may still write to it, or wrote past its end before freeing it"
		c.Cause = fmt.Sprintf("memory in front of the node was written after it had been freed, or before, with %s: %s lies there", with, c.buffer(p))
		return
	}
	c.CulpritReason = "overflow: the damage begins where its payload ends"
	switch n := o.ahead(w); {
	case w.same && w.b != 0 && n > 0:
		c.CulpritReason += fmt.Sprintf(", and the last %s of that hold what was written", plain.Plural(n, "byte"))
	case w.text && n >= minRun:
		c.CulpritReason += fmt.Sprintf(", and the last %s of that are text too", plain.Plural(n, "byte"))
	}
	c.Cause = fmt.Sprintf("an overflow: %s was written past its end with %s, by at least %s", c.buffer(p), with, plain.Plural(w.end, "byte"))
}

// through explains a node that is a further victim of what overwrote the one in
// front.
func (o *Overwrite) through(c *docket, with string) {
	const inBetween = "the nodes in between were overwritten too: "
	t := o.Trail
	c.Culprit, c.CulpritReason = t.Culprit, inBetween+strings.TrimPrefix(t.Reason, inBetween)
	front, victim := "what lies in front", "what lies in between"
	if p := o.Previous; p != nil {
		victim = fmt.Sprintf("node %s", p.Addr)
		front = victim + " in front"
	}
	if t.Culprit == nil { // it came from before the heap, or nobody knows from where
		c.CulpritReason = ""
		c.Cause = fmt.Sprintf("one write went through several nodes: %s was overwritten as well, here with %s; where it began cannot be told; %s is only another victim", front, with, victim)
		return
	}
	c.Cause = fmt.Sprintf("one overflow went through several nodes: %s was overwritten as well, here with %s, so the write began in %s or before it; %s is only another victim", front, with, c.buffer(t.Culprit), victim)
}

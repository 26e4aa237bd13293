package damage

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// header explains an overwritten control header.
func (c *docket) header() {
	if c.wordOnly() {
		c.word()
		return
	}
	c.evidence()
	p := c.pattern()
	if c.Node == 0 || c.contradicts() {
		p = unclear
	}
	if c.Kind == heap.BothDamaged {
		c.both()
		return
	}
	switch p {
	case fromFront:
		if len(c.Memory) > 0 && c.Span.Start > c.Node && c.Memory[0].Addr > c.Node {
			c.before = uint64(c.Memory[0].Addr - c.Node)
		}
		c.overflow()
	case fromBehind:
		c.Culprit = c.Subject
		c.CulpritReason = "underflow: the damage ends where its own payload begins and does not reach the header's start"
		c.Cause = "an underflow: only the end of the header was overwritten, which lies right in front of " + c.own() + "; a write to negative offsets of it, or through a pointer that is a little too low, does that"
	case inMiddle:
		c.Cause = "a stray write: bytes on both sides of the damage inside the header are intact, so neither the buffer in front nor the node's own ran into it; a write through a wild or stale pointer does that, and nothing in the report says whose"
	case behindFirst:
		c.Cause = "a stray write, or one through a pointer to memory freed before, is more likely than an overflow: the first word of the header can be right, what is wrong lies behind it"
	case unclear:
		if c.Partial != "" {
			c.Cause = "what happened cannot be told from what the log has of the report"
		} else {
			c.Cause = "what overwrote the header cannot be told: the report shows too little of it"
		}
	}
	c.when()
}

// contradicts reports whether the node begins where none can, or the one in
// front does not end there: the log has lost digits, or that node's size is wrong, too.
func (c *docket) contradicts() bool {
	p := c.Previous
	return c.Node%4 != 0 || p != nil && p.Total != 0 && p.Addr < c.Node && p.Addr+heap.Addr(p.Total) != c.Node
}

// Where in the header the damage lies.
type pattern uint8

const (
	unclear    pattern = iota
	fromFront          // from its start on
	fromBehind         // at its end only
	inMiddle
	behindFirst // not in its first word, as far as a check without backup can tell
)

// compared reports whether the header stands next to a backup.
func (c *docket) compared() bool {
	return slices.ContainsFunc(c.Fields, func(f heap.Field) bool { return f.Backup != "" })
}

// pattern says where the damage lies. Fields stand in order of address.
func (c *docket) pattern() pattern {
	compared, first, last := 0, -1, -1
	for _, f := range c.Fields {
		if f.Header == "" {
			continue
		}
		if f.Differs {
			if first < 0 {
				first = compared
			}
			last = compared
		}
		compared++
	}
	switch {
	case first < 0:
		return unclear
	case first == 0:
		return fromFront
	case last == compared-1:
		return fromBehind
	case !c.compared():
		return behindFirst
	}
	return inMiddle
}

// own names the damaged node's own payload.
func (c *docket) own() string {
	if c.Subject != nil {
		return c.buffer(c.Subject)
	}
	return fmt.Sprintf("the payload of node %s", c.Node)
}

// evidence looks at the bytes shown: what they look like, how far they go.
func (c *docket) evidence() {
	seed := c.Span.Start
	if c.Span.Len() == 0 {
		seed = c.Node
		if len(c.Memory) > 0 && c.compared() {
			seed = c.Memory[0].Addr
		}
	}
	c.lrs = c.gap()
	if r, ok := runAt(c.Memory, seed, c.Node, int(c.lrs.Len())); ok {
		c.run = r
	}
	switch head := c.headEnd(); {
	case c.Span.Len() > 0 && c.compared():
		c.Reach = looks(shown(c.Memory, c.Span), c.Node)
	case c.run.span.Len() > 0 && c.run.b != 0 && c.Span.Len() > 0:
		// Words that nothing contradicts are wrong if they continue the run;
		// in the payload behind the head that would be a guess.
		if c.Span = c.run.span; head != 0 && c.Span.End > head {
			c.Span.End = head
		}
		c.Reach = looks([]byte{c.run.b, c.run.b}, c.Node)
		switch {
		case c.run.open:
			c.Reach += ", as far as the report shows memory"
		case c.run.span.End > c.Span.End:
			c.Reach += fmt.Sprintf(", and on in the payload behind it up to %s", c.run.span.End)
		default:
			c.Reach += fmt.Sprintf(", up to %s", c.run.span.End)
		}
	case c.Span.Len() > 0:
		c.Reach = looks(shown(c.Memory, c.Span), c.Node)
	case c.Kind == heap.BothDamaged && len(c.Memory) > 0:
		c.Reach = "the header now holds " + looks(shown(c.Memory, heap.Span{Start: c.Node, End: ^heap.Addr(0)}), c.Node)
	}
}

// both explains that neither the header nor its backup is right. The backup
// lies at the start of the node in front, that node's own header between them.
func (c *docket) both() {
	switch {
	case c.Partial != "":
		c.Cause = "the header is wrong, and so is its backup if the log has lost nothing of the report: what overwrote them cannot be told"
		return
	case c.Previous == nil:
		c.Cause = "the header and its backup are both wrong: what overwrote them cannot be told"
		return
	}
	c.Cause = fmt.Sprintf("the header and its backup, which lies at the start of node %s in front of it, are both wrong, although that node's own header lies between them: more than one write, or a stray one", c.Previous.Addr)
}

// headEnd is where the damaged node's payload begins; 0: not known.
func (c *docket) headEnd() heap.Addr {
	if p := c.Previous; p != nil && p.Payload > p.Addr {
		return c.Node + p.Payload - p.Addr
	}
	return 0
}

// gap is the hole between the pieces of memory that show the header: LRs, which
// reports of a wrong checksum do not print.
func (c *docket) gap() heap.Span {
	if c.Span.Len() == 0 || len(c.Memory) < 2 {
		return heap.Span{}
	}
	last := c.Memory[len(c.Memory)-1]
	before := c.Memory[len(c.Memory)-2]
	s := heap.Span{Start: before.Addr + heap.Addr(len(before.Bytes)), End: last.Addr}
	if s.End <= s.Start || s.Len() > 64 || s.Len() < 12 {
		return heap.Span{}
	}
	return s
}

// overflow explains damage from the start of the header on.
func (c *docket) overflow() {
	p := c.Previous
	if p == nil {
		c.Cause = "what lies in front of the node was written past its end: the damage begins with the first field of the header; the report does not say what that is"
		return
	}
	past := uint64(0)
	if c.Span.End > c.Node {
		past = uint64(c.Span.End - c.Node)
	}
	with := ""
	switch {
	case c.run.span.Len() > 0 && c.run.b == 0:
		with = " with zeroes"
	case c.run.span.Len() > 0:
		with = " with " + byteName(c.run.b)
	case c.Reach != "":
		with = " with " + c.Reach
	}
	if p.State != heap.Used {
		c.blame(p, "the memory in front is free: whoever used it last may still write to it, or wrote past its end before freeing it")
		c.Cause = fmt.Sprintf("memory in front of the header was written%s after it had been freed, or before: %s lies there", with, c.buffer(p))
		if c.chained() {
			c.Cause = c.chain(with)
		}
		return
	}
	c.blame(p, "overflow: the damage begins with the first field of the header behind its payload")
	if c.chained() {
		c.Cause = c.chain(with)
		return
	}
	how := "past its end"
	if past > 0 {
		how = fmt.Sprintf("past its end%s, by at least %s", with, plain.Plural(int(past), "byte"))
		if c.before > 0 {
			how += " if it left no gap"
		}
	} else {
		how += with
	}
	c.Cause = fmt.Sprintf("an overflow: %s was written %s", c.buffer(p), how)
	if len(p.Stack) > 0 {
		c.Cause += "; it was allocated " + c.e.by(p.Stack[0])
	}
}

// chain says that one write went through several nodes.
func (c *docket) chain(with string) string {
	return fmt.Sprintf("one overflow went through several nodes: the node in front, %s, was overwritten%s as well, so the write began in %s or before it; the device names the node in front, which is only another victim",
		c.Previous.Addr, with, c.buffer(c.Culprit))
}

// when narrows down when it happened: a listing walks from header to header by
// their sizes, past the damaged one only as long as its size is intact.
func (c *docket) when() {
	size := slices.ContainsFunc(c.Fields, func(f heap.Field) bool { return f.Name == "size and flags" && f.Differs })
	for _, l := range c.e.pools() {
		for _, s := range []*heap.Snapshot{l.last, l.complete} {
			if s == nil || len(s.Nodes) == 0 || !walked(s) || s.Nodes[0].Addr > c.Node {
				continue
			}
			last := s.Nodes[len(s.Nodes)-1].Addr
			if last > c.Node {
				if size {
					c.Cause += fmt.Sprintf(". It is newer than %s, which still found its way past this header", named(s))
				}
				return
			}
			if c.Previous == nil || last != c.Previous.Addr || s.Partial != "" {
				continue
			}
			const stops = "memused stops at a damaged header without saying so"
			if l.far != nil && l.far.node >= c.Node {
				c.Cause += fmt.Sprintf(". It is most likely older than %s: that listing ends at %s, %s went on behind it, and %s", named(s), last, l.far.label, stops)
			} else {
				c.Cause += fmt.Sprintf(". If node %s existed when %s was printed, the damage is older: that listing ends at %s, and %s", c.Node, named(s), last, stops)
			}
			return
		}
	}
}

// backup explains an overwritten backup, which lies at the start of its node,
// right behind the payload of the node in front.
func (c *docket) backup() {
	b, ok := at(c.Memory, c.Node)
	if r, long := runAt(c.Memory, c.Node, c.Node, 16); ok && long {
		r.span.End = min(r.span.End, c.wrongUntil(r))
		c.run = r
		c.Span = r.span
		c.Reach = looks([]byte{b, b}, c.Node)
	}
	if c.Previous == nil || c.contradicts() {
		c.Cause = "the backup at the start of the node is damaged, the node's own header is not: most likely what lies in front of it was written a few bytes past its end"
		return
	}
	far := "a few bytes"
	if c.Span.Len() > 0 {
		far = fmt.Sprintf("at least %s", plain.Plural(int(c.Span.Len()), "byte"))
	}
	c.blame(c.Previous, "overflow: the backup that was overwritten begins where its payload ends")
	if c.chained() {
		c.Cause = c.chain("")
		return
	}
	c.Cause = fmt.Sprintf("a short overflow: %s was written %s past its end, into the backup that lies there, and not as far as the header behind", c.buffer(c.Previous), far)
}

// wrongUntil bounds a run in a backup by what cannot be right: a word of zeroes
// is one that was overwritten only where a header never holds zero.
func (c *docket) wrongUntil(r run) heap.Addr {
	if r.b != 0 || len(c.Memory) == 0 {
		return r.span.End
	}
	word := heap.Addr(4)
	if len(c.Memory[0].Bytes) == 3*8+4 {
		word = 8
	}
	end := c.Node + word // magic, or a pointer to a free node
	if previous := c.Node + 3*word; previous <= r.span.End {
		end = previous // it is never 0; behind it lie the gap size, which can be
	}
	if sum := c.Node + 5*word; word == 4 && sum <= r.span.End {
		end = sum
	}
	for _, piece := range c.Memory[1:] { // checksum, size and flags
		if last := piece.Addr + heap.Addr(len(piece.Bytes)); piece.Addr > c.Node && last <= r.span.End {
			end = max(end, last)
		}
	}
	return end
}

// wordOnly reports whether all that is known is the word in front of a pointer.
func (c *docket) wordOnly() bool {
	return c.Node == 0 && len(c.Fields) == 1 && c.Fields[0].Backup == "" && c.Fields[0].Name == "size and flags"
}

// word explains the report of a word in front of a pointer that makes no
// sense: the device gives up before it looks for the node.
func (c *docket) word() {
	c.Cause = "the control header in front of the pointer that was passed was overwritten up to its last word, by the node in front of it writing past its end or by its own user writing in front of the buffer; or the pointer never came from an allocation"
	if v, err := strconv.ParseUint(c.Fields[0].Header, 0, 32); err == nil {
		b := binary.LittleEndian.AppendUint32(nil, uint32(v))
		c.Reach = "the last word of the header is " + looks(b, 0)
	}
}

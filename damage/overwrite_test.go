package damage

import (
	"bytes"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// head is 32 bytes of which 8 to 16 cannot be known.
func head() *Overwrite {
	o := &Overwrite{At: 0x1000, Known: make([]bool, 32), Want: make([]byte, 32)}
	for i := range o.Want {
		o.Want[i] = byte(0x80 + i)
		o.Known[i] = i < 8 || i >= 16
	}
	o.Have = bytes.Clone(o.Want)
	o.Previous = &heap.Node{Addr: 0xf00, Payload: 0xf20, Total: 0x100}
	o.Subject = &heap.Node{Addr: 0x1000, Payload: 0x1020, Total: 0x100}
	o.Ahead = make([]byte, 64)
	o.Behind = make([]byte, 64)
	return o
}

func TestOverwrite(t *testing.T) {
	fill := func(b byte, from, to int) func(*Overwrite) {
		return func(o *Overwrite) {
			for i := from; i < to; i++ {
				o.Have[i] = b
			}
		}
	}
	for _, d := range []struct {
		name    string
		write   func(*Overwrite)
		from    heap.Addr // of the span
		to      heap.Addr
		culprit heap.Addr // 0: nobody
		cause   string
	}{
		{"overflow", fill('A', 0, 6), 0x1000, 0x1006, 0xf00, "by at least 6 bytes"},
		{"overflow into what is not known", fill('A', 0, 12), 0x1000, 0x100c, 0xf00, "by at least 12 bytes"},
		{"zeroes are not followed", fill(0, 0, 12), 0x1000, 0x1008, 0xf00, "zeroes"},
		{"whole head", fill('A', 0, 32), 0x1000, 0x1020, 0xf00, "an overflow"},
		{"terminator", fill(0, 0, 1), 0x1000, 0x1001, 0xf00, "an overflow"},
		{"underflow", fill('A', 28, 32), 0x101c, 0x1020, 0x1000, "an underflow"},
		{"underflow over all but a byte", fill('A', 1, 32), 0x1001, 0x1020, 0x1000, "an underflow"},
		{"stray", fill('A', 20, 24), 0x1014, 0x1018, 0, "a stray write"},
		{"bit", func(o *Overwrite) { o.Have[21] ^= 4 }, 0x1015, 0x1016, 0, "single bit"},
		{"free in front", func(o *Overwrite) { fill('A', 0, 8)(o); o.Previous.State = heap.Free }, 0x1000, 0x1008, 0xf00, "after it had been freed"},
		{"nothing in front", func(o *Overwrite) { fill('A', 0, 8)(o); o.Previous = nil }, 0x1000, 0x1008, 0, "what lies in front"},
	} {
		t.Run(d.name, func(t *testing.T) {
			o := head()
			d.write(o)
			var f heap.Finding
			if o.Explain(&f) == nil {
				t.Fatal("nothing is found")
			}
			if f.Span.Start != d.from || f.Span.End != d.to {
				t.Errorf("span %s to %s, want %s to %s", f.Span.Start, f.Span.End, d.from, d.to)
			}
			var culprit heap.Addr
			if f.Culprit != nil {
				culprit = f.Culprit.Addr
			}
			if culprit != d.culprit || !strings.Contains(f.Cause, d.cause) {
				t.Errorf("culprit %s, want %s; cause %q, want %q in it", culprit, d.culprit, f.Cause, d.cause)
			}
		})
	}
}

func TestOverwriteNothing(t *testing.T) {
	o := head()
	o.Have[10] = 'A' // not known
	var f heap.Finding
	if o.Explain(&f) != nil || f.Span.Len() != 0 || f.Cause != "" {
		t.Errorf("%+v", f)
	}
}

// TestTrail: only what goes on from the head in front through the payload
// between has the same culprit.
func TestTrail(t *testing.T) {
	for _, d := range []struct {
		name    string
		between byte
		whole   bool
		culprit heap.Addr
	}{
		{"one write", 'A', true, 0xe00},
		{"another write", 0, true, 0xf00},
		{"a head in front that is half intact", 'A', false, 0xf00},
	} {
		t.Run(d.name, func(t *testing.T) {
			o := head()
			o.Have = bytes.Repeat([]byte{'A'}, 32)
			o.Ahead = bytes.Repeat([]byte{d.between}, 64)
			o.Trail = &Trail{Culprit: &heap.Node{Addr: 0xe00}, Reason: "overflow", whole: d.whole, b: 'A', same: true}
			var f heap.Finding
			next := o.Explain(&f)
			if f.Culprit.Addr != d.culprit || next.Culprit.Addr != d.culprit {
				t.Errorf("culprit %s, want %s (%s)", f.Culprit.Addr, d.culprit, f.CulpritReason)
			}
		})
	}
}

// What began in front of the heap is not blamed on the first node that it hit.
func TestTrailOfNobody(t *testing.T) {
	first := head()
	first.Previous, first.Ahead = nil, nil
	for i := range first.Have {
		first.Have[i] = 'A'
	}
	var f heap.Finding
	trail := first.Explain(&f)
	next := head()
	next.Previous, next.Trail = first.Subject, trail
	for i := range next.Ahead {
		next.Ahead[i] = 'A'
	}
	copy(next.Have, "AAAAAAAA")
	f = heap.Finding{}
	next.Explain(&f)
	if f.Culprit != nil || f.CulpritReason != "" || !strings.Contains(f.Cause, "where it began cannot be told") {
		t.Errorf("culprit %v, %q, %q", f.Culprit, f.CulpritReason, f.Cause)
	}
}

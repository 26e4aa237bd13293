package damage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// A row is nodes one behind the other: 16 bytes of head, of which 4 are not
// known, and a payload of 48.
type row struct {
	mem, was []byte
	states   []heap.State
}

const (
	rowHead, rowNode = 16, 64
	rowAt            = heap.Addr(0x10000)
)

func newRow(n int) *row {
	r := &row{states: make([]heap.State, n)}
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	for range n * rowNode {
		r.mem = append(r.mem, byte(0x80+rng.IntN(64))) // no text, no zero
	}
	r.was = bytes.Clone(r.mem)
	return r
}

func (r *row) node(i int) *heap.Node {
	at := rowAt + heap.Addr(i*rowNode)
	return &heap.Node{Addr: at, Payload: at + rowHead, Size: rowNode - rowHead, Total: rowNode, State: r.states[i]}
}

// write overwrites memory; negative offsets lie in front of the payload.
func (r *row) write(node, offset int, b []byte) {
	copy(r.mem[node*rowNode+rowHead+offset:], b)
}

// check goes over the row as a walker does and returns the findings by node.
// Behind the nodes in lost nothing is known of what lies in front.
func (r *row) check(lost ...int) map[int]*heap.Finding {
	found := make(map[int]*heap.Finding)
	var trail *Trail
	for i := range r.states {
		at := i * rowNode
		o := &Overwrite{
			At: rowAt + heap.Addr(at), Have: r.mem[at : at+rowHead], Want: r.was[at : at+rowHead], Known: make([]bool, rowHead),
			Behind: r.mem[at+rowHead : at+rowNode], Subject: r.node(i), Trail: trail, Heads: "its head",
		}
		for k := range o.Known {
			o.Known[k] = k < 8 || k >= 12
		}
		if i > 0 {
			o.Ahead = r.mem[at-rowNode+rowHead : at]
			o.Previous = r.node(i - 1)
			for _, l := range lost {
				if l == i-1 {
					o.Previous = nil
				}
			}
		}
		f := &heap.Finding{Kind: heap.HeaderDamaged, Node: o.At}
		if trail = o.Explain(f); trail != nil {
			found[i] = f
		}
	}
	return found
}

// checkOne wants findings at n nodes from first on, with one culprit.
func checkOne(t interface {
	Helper()
	Errorf(string, ...any)
}, found map[int]*heap.Finding, first, n int, culprit *heap.Node,
) {
	t.Helper()
	if len(found) != n {
		t.Errorf("%d findings instead of %d", len(found), n)
	}
	for i := first; i < first+n; i++ {
		f := found[i]
		switch {
		case f == nil:
			t.Errorf("nothing is found at node %d", i)
		case f.Culprit == nil || f.Culprit.Addr != culprit.Addr:
			t.Errorf("node %d: culprit %+v instead of %s: %s", i, f.Culprit, culprit.Addr, f.Cause)
		case i > first && !strings.Contains(f.Cause, "one overflow went through several nodes"):
			t.Errorf("node %d: %s", i, f.Cause)
		case strings.Count(f.CulpritReason, "in between were overwritten") != min(i-first, 1):
			t.Errorf("node %d: %s", i, f.CulpritReason)
		}
	}
}

// What one write can hold.
var fillings = map[string]func(n int) []byte{
	"byte":     func(n int) []byte { return bytes.Repeat([]byte{'A'}, n) },
	"zeroes":   func(n int) []byte { return make([]byte, n) },
	"text":     func(n int) []byte { return bytes.Repeat([]byte("heap and stack; "), n/16+1)[:n] },
	"integers": func(n int) []byte { return bytes.Repeat([]byte{1, 0, 0, 0, 2, 0, 0, 0}, n/8+1)[:n] },
	"noise": func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i * i * 7)
		}
		return b
	},
}

// One overflow through several nodes has one culprit, whatever is written and
// whatever the nodes in between are.
func TestStomp(t *testing.T) {
	for name, fill := range fillings {
		for _, victims := range []int{1, 2, 3, 10} {
			for _, free := range []bool{false, true} {
				t.Run(fmt.Sprint(name, "/", victims, "/free=", free), func(t *testing.T) {
					r := newRow(victims + 4)
					for i := 2; free && i < victims+2; i += 2 {
						r.states[i] = heap.Free
					}
					// From 8 bytes before its end through all victims' heads.
					r.write(1, 40, fill(8+rowNode*(victims-1)+rowHead))
					checkOne(t, r.check(), 2, victims, r.node(1))
				})
			}
		}
	}
}

// Where the nodes in between cannot be made out, only what fills the payload in
// front of the damage shows that it is one write.
func TestStompBehindGap(t *testing.T) {
	for name, fill := range fillings {
		t.Run(name, func(t *testing.T) {
			r := newRow(6)
			r.write(1, 40, fill(8+2*rowNode+rowHead))
			found := r.check(2)
			f := found[3]
			known := f.Culprit != nil && f.Culprit.Addr == r.node(1).Addr
			if want := name == "byte" || name == "text" || name == "zeroes"; known != want {
				t.Errorf("culprit %+v: %s", f.Culprit, f.Cause)
			}
			if !known && f.Culprit != nil {
				t.Errorf("culprit %s by guess", f.Culprit.Addr)
			}
		})
	}
}

// Two writes have two culprits.
func TestTwoStomps(t *testing.T) {
	for _, d := range []struct {
		name   string
		writes func(*row)
	}{
		{"an intact head in between", func(r *row) {
			r.write(1, 40, fillings["byte"](8+rowHead))
			r.write(3, 40, fillings["byte"](8+rowHead))
		}},
		{"the payload in between intact", func(r *row) {
			r.write(1, 40, fillings["byte"](8+rowHead))
			r.write(2, 40, fillings["byte"](8+rowHead))
		}},
		{"different bytes", func(r *row) {
			r.write(1, 40, fillings["byte"](8+rowHead))
			r.write(2, 40, bytes.Repeat([]byte{'B'}, 8+rowHead))
		}},
		{"the first ends in the head", func(r *row) {
			r.write(1, 40, fillings["noise"](8+6))
			r.write(2, 40, fillings["noise"](8+rowHead))
		}},
	} {
		t.Run(d.name, func(t *testing.T) {
			r := newRow(6)
			d.writes(r)
			found := r.check()
			if len(found) != 2 {
				t.Fatalf("%d findings", len(found))
			}
			for i, f := range found {
				if f.Culprit == nil || f.Culprit.Addr != r.node(i-1).Addr || strings.Contains(f.Cause, "several nodes") {
					t.Errorf("node %d: culprit %+v: %s", i, f.Culprit, f.Cause)
				}
			}
		})
	}
}

// What is no overflow of the node in front is not blamed on it.
func TestOtherWrites(t *testing.T) {
	for _, d := range []struct {
		name    string
		write   func(*row)
		culprit int // -1: nobody
		cause   string
	}{
		{"underflow", func(r *row) { r.write(2, -4, []byte("ABCDEFGH")) }, 2, "an underflow"},
		{"underflow of a free node", func(r *row) { r.states[2] = heap.Free; r.write(2, -4, []byte("ABCDEFGH")) }, 2, "a write after free"},
		{"stray", func(r *row) { r.write(2, -12, []byte{1, 2, 3, 4}) }, -1, "a stray write"},
		{"bit", func(r *row) { r.mem[2*rowNode+5] ^= 0x10 }, -1, "a single bit is wrong"},
		{"first bit", func(r *row) { r.mem[2*rowNode] ^= 1 }, -1, "a single bit is wrong"},
		{"terminator", func(r *row) { r.mem[2*rowNode] = 0 }, 1, "an overflow"},
		{"after free", func(r *row) { r.states[1] = heap.Free; r.write(1, 44, []byte("ABCDEFGH")) }, 1, "after it had been freed"},
	} {
		t.Run(d.name, func(t *testing.T) {
			r := newRow(4)
			d.write(r)
			found := r.check()
			f := found[2]
			if len(found) != 1 || f == nil {
				t.Fatalf("%d findings", len(found))
			}
			if !strings.Contains(f.Cause, d.cause) {
				t.Errorf("%s", f.Cause)
			}
			if d.culprit < 0 != (f.Culprit == nil) || f.Culprit != nil && f.Culprit.Addr != r.node(d.culprit).Addr {
				t.Errorf("culprit %+v", f.Culprit)
			}
		})
	}
}

// An underflow that goes on through its own payload into the next node has one
// culprit, too.
func TestUnderflowThrough(t *testing.T) {
	r := newRow(5)
	r.write(2, -4, fillings["byte"](4+48+rowHead))
	checkOne(t, r.check(), 2, 2, r.node(2))
}

// One write from inside a payload, of anything, through any number of heads:
// each head it changes is found, and nobody but the writer is blamed.
func TestStompProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRow(12)
		for i := range r.states {
			if i != 1 && rapid.Bool().Draw(t, "free") {
				r.states[i] = heap.Free
			}
		}
		name := rapid.SampledFrom([]string{"byte", "zeroes", "text", "integers", "noise"}).Draw(t, "filling")
		from, victims := rapid.IntRange(0, 47).Draw(t, "from"), rapid.IntRange(1, 9).Draw(t, "victims")
		last := rapid.IntRange(4, rowHead).Draw(t, "last")
		r.write(1, from, fillings[name](48-from+rowNode*(victims-1)+last))
		checkOne(t, r.check(), 2, victims, r.node(1))
	})
}

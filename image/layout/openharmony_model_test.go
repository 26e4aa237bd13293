package layout

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// drawTLSF draws any configuration.
func drawTLSF(t *rapid.T) TLSF {
	return rapid.SampledFrom(allTLSF).Draw(t, "layout")
}

var allTLSF = tlsfLayouts()

// drawTLSFHeap draws a heap. Two free nodes are never neighbours, as on the
// device.
func drawTLSFHeap(t *rapid.T, l TLSF, most int) *TLSFHeap {
	h := &TLSFHeap{Layout: l, Addr: heap.Addr(rapid.Uint32Range(1, 1<<20).Draw(t, "addr")) * 64}
	w := uint32(l.Offsets().Word)
	for i := range rapid.IntRange(1, most).Draw(t, "nodes") {
		d := TLSFNode{
			Free: i > 0 && !h.Nodes[i-1].Free && rapid.IntRange(0, 3).Draw(t, "state") == 0,
			Size: rapid.Uint64Range(16, 400).Draw(t, "size"),
		}
		if l.Regions && i > 0 && !d.Free && rapid.IntRange(0, 9).Draw(t, "bridge") == 0 {
			h.Nodes = append(h.Nodes, TLSFNode{Bridge: true, Size: d.Size})
			continue
		}
		if !d.Free {
			d.Task = rapid.Uint32Range(0, 63).Draw(t, "task")
			d.Seen = rapid.Bool().Draw(t, "seen")
			if rapid.IntRange(0, 4).Draw(t, "aligned") == 0 {
				d.Gap = w * rapid.Uint32Range(1, 9).Draw(t, "gap")
			}
			d.Payload = bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, int(d.Size))
		}
		for range rapid.IntRange(0, l.LRs).Draw(t, "LRs") {
			d.Stack = append(d.Stack, heap.Addr(rapid.Uint32Range(0x10000, 0x40000).Draw(t, "LR"))&^3)
		}
		h.Nodes = append(h.Nodes, d)
	}
	return h
}

// haunt writes headers of former nodes into the payloads, as merging and reuse
// leave them.
func (h *TLSFHeap) haunt(t *rapid.T, pool []byte, starts []heap.Addr) {
	o := h.Layout.Offsets()
	e := tlsfEncoder{TLSFHeap: h, o: o, b: pool}
	for i := range h.Nodes {
		d := &h.Nodes[i]
		room := starts[i] + heap.Addr(e.length(d))
		at := starts[i] + heap.Addr(o.FreeHead) + heap.Addr(d.Gap)
		prev := starts[i]
		for !d.Bridge && at+heap.Addr(o.FreeHead) <= room && rapid.IntRange(0, 2).Draw(t, "former") == 0 {
			length := heap.Addr(o.FreeHead)
			if rapid.Bool().Draw(t, "to the end") {
				length = room - at
			}
			e.header(at, prev, uint32(length)<<h.Layout.shift()|tlsfUsed<<24, &TLSFNode{Task: 7})
			prev, at = at, at+length
		}
	}
}

// drawTLSFFault draws one of the ways in which programs damage heaps.
func drawTLSFFault(t *rapid.T, h *TLSFHeap, pool []byte, starts []heap.Addr) fault {
	o := h.Layout.Offsets()
	end := h.Addr + heap.Addr(len(pool))
	i := rapid.IntRange(0, len(starts)-1).Draw(t, "node")
	behind := func(i int) heap.Addr { // the end of node i
		if i+1 < len(starts) {
			return starts[i+1]
		}
		return end - heap.Addr(o.Head)
	}
	fill := func(n int) []byte {
		switch rapid.SampledFrom([]string{"'A'", "zeroes", "0xff", "text", "random"}).Draw(t, "with") {
		case "'A'":
			return bytes.Repeat([]byte{'A'}, n)
		case "zeroes":
			return make([]byte, n)
		case "0xff":
			return bytes.Repeat([]byte{0xff}, n)
		case "text":
			return bytes.Repeat([]byte("hello world, "), n/13+1)[:n]
		}
		return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "bytes")
	}
	length := func(most int) int { return rapid.IntRange(1, most).Draw(t, "length") }
	f := fault{what: rapid.SampledFrom([]string{"overflow", "double stomp", "underflow", "write after free", "bit flip", "wild"}).Draw(t, "fault")}
	switch f.what {
	case "overflow":
		f.at, f.data = behind(i), fill(length(o.Head+8))
	case "double stomp":
		to := behind(min(i+rapid.IntRange(1, 3).Draw(t, "nodes stomped"), len(starts)-1))
		f.at = behind(i)
		f.data = fill(int(to-f.at) + length(o.Head))
	case "underflow":
		n := length(o.Head)
		f.at, f.data = starts[i]+heap.Addr(o.Head-n), fill(n)
	case "write after free":
		f.at, f.data = starts[i]+heap.Addr(o.Head), fill(length(2*o.Word))
	case "bit flip":
		f.at = starts[0] + heap.Addr(rapid.IntRange(0, int(end-starts[0])-1).Draw(t, "where"))
		f.data = []byte{pool[f.at-h.Addr] ^ 1<<rapid.IntRange(0, 7).Draw(t, "bit")}
	default:
		f.at = starts[0] + heap.Addr(rapid.IntRange(0, int(end-starts[0])-1).Draw(t, "where"))
		f.data = fill(length(64))
	}
	if over := int64(f.at) + int64(len(f.data)) - int64(end); over > 0 {
		f.data = f.data[:int64(len(f.data))-over]
	}
	return f
}

// verifiable says which bits of a pool's nodes can be proven wrong, and own
// which bytes belong to which node's header (its number + 1).
func (h *TLSFHeap) verifiable(pool []byte, starts []heap.Addr) (checked []byte, own []int) {
	l, o := &h.Layout, h.Layout.Offsets()
	checked, own = make([]byte, len(pool)), make([]int, len(pool))
	end := h.Addr + heap.Addr(len(pool)) - heap.Addr(o.Head)
	for i, at := range append(slices.Clone(starts), end) {
		b := checked[at-h.Addr:]
		mark := func(off, n int) {
			for k := range n {
				if off >= 0 {
					b[off+k] = 0xff
				}
			}
		}
		mark(o.Magic, 4)
		mark(o.Prev, o.Word)
		mark(o.Size, 4)
		last := at == end
		head := o.Head
		switch {
		case last:
			if l.Task == TLSFTaskPacked {
				b[o.Size] = 0xc0
			}
			if l.LeakCheck && !l.Expand {
				b[o.Size+3] &^= tlsfSeen
			} else if l.A && !l.Expand {
				b[o.Size+3] &^= tlsfSeen
			}
		case h.Nodes[i].Free:
			mark(o.Links, 2*o.Word)
			head = o.FreeHead
			if l.Task == TLSFTaskPacked {
				b[o.Size] = 0xc0
			}
		default:
			b[o.Size+3] &^= tlsfAligned
			if l.LeakCheck && !l.A {
				b[o.Size+3] &^= tlsfSeen
			}
			if l.Task == TLSFTaskPacked {
				b[o.Size] = 0xc0
			}
		}
		for k := range head {
			own[int(at-h.Addr)+k] = i + 1
		}
	}
	return checked, own
}

// TestTLSFDamaged: after any one fault the walk ends, finds something where
// something that can be verified was hit and nothing where not, lists every
// node whose header was not hit, as it was, and what it says can be restored is
// well after the repair.
func TestTLSFDamaged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawTLSF(t)
		h := drawTLSFHeap(t, l, 24)
		pool, starts, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "former nodes") {
			h.haunt(t, pool, starts)
		}
		checked, own := h.verifiable(pool, starts)
		bad := slices.Clone(pool)
		f := drawTLSFFault(t, h, pool, starts)
		copy(bad[f.at-h.Addr:], f.data)
		hit := make(map[int]bool)
		wrong := false
		for i := range bad {
			if bad[i] != pool[i] {
				wrong = wrong || (bad[i]^pool[i])&checked[i] != 0
				hit[own[i]-1] = true
			}
		}
		if h.misleads(pool, bad, starts) {
			return
		}
		p, err := openTLSF(Bytes{Addr: h.Addr, Data: bad}, h.Addr, &l, l.A)
		if err != nil {
			t.Fatal(err)
		}
		nodes, findings, s := poolWalked(p)
		context := func() string {
			return fmt.Sprintf("%s\nfault %v, nodes hit %v\nfindings %v\ngaps %v\nstarts %v", l, f, hit, findings, s.Gaps, starts)
		}
		if wrong && len(findings) == 0 {
			t.Fatalf("nothing is found\n%s", context())
		}
		if !wrong && len(findings) > 0 {
			t.Fatalf("something is found where nothing can be\n%s", context())
		}
		recovered := len(s.Gaps) == 0
		for _, f := range findings {
			recovered = recovered && f.Recovered
		}
		if recovered && len(findings) > 0 {
			again, err := openTLSF(patchedTLSF(p, bad, s.Patches), h.Addr, &l, l.A)
			if err != nil {
				t.Fatal(err)
			}
			if _, left, _ := poolWalked(again); len(left) > 0 {
				t.Fatalf("not all is well after the repair: %v\n%v\n%s", left, s.Patches, context())
			}
		}
		byAddr := make(map[heap.Addr]heap.Node)
		for i, n := range nodes {
			if i > 0 && n.Addr < nodes[i-1].Addr+heap.Addr(nodes[i-1].Total) {
				t.Fatalf("node %s lies in the one in front\n%s", n.Addr, context())
			}
			byAddr[n.Addr] = n
		}
		number := make(map[heap.Addr]int)
		for i, at := range starts {
			number[at] = i
		}
		for _, want := range h.expected(starts) {
			i := number[want.Addr]
			if hit[i] {
				continue
			}
			got, ok := byAddr[want.Addr]
			if !ok {
				t.Fatalf("node %d at %s is missing\n%s", i, want.Addr, context())
			}
			if h.Nodes[i].Gap != 0 {
				got.Payload = want.Payload // only its own payload says so
			}
			if d := cmp.Diff(want, got, cmp.Comparer(sameStack)); d != "" {
				t.Fatalf("node %d: %s\n%s", i, d, context())
			}
		}
	})
}

// misleads reports whether by chance the fault left a link to a node that is
// not the one in front: nothing can tell that from the truth.
func (h *TLSFHeap) misleads(pool, bad []byte, starts []heap.Addr) bool {
	o := h.Layout.Offsets()
	end := h.Addr + heap.Addr(len(pool)-o.Head)
	for _, at := range append(slices.Clone(starts), end) {
		off := int(at-h.Addr) + o.Prev
		is := word(bad[off:], o.Word)
		if is != word(pool[off:], o.Word) && slices.Contains(starts, heap.Addr(is)) {
			return true
		}
	}
	return false
}

// patchedTLSF returns the memory after the patches.
func patchedTLSF(p *TLSFPool, b []byte, patches []Patch) Bytes {
	b = slices.Clone(b)
	for _, c := range patches {
		copy(b[c.Addr-p.Addr:], c.New)
	}
	return Bytes{Addr: p.Addr, Data: b}
}

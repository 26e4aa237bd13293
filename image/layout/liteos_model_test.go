package layout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// drawLayout draws any configuration.
func drawLayout(t *rapid.T) LiteOS {
	all := nodeLayouts(LiteOS{Bits64: rapid.Bool().Draw(t, "64 bits"), TaskStat: rapid.Bool().Draw(t, "task stat"), MulPool: rapid.Bool().Draw(t, "mul pool")})
	l := rapid.SampledFrom(all).Draw(t, "node layout")
	l.MulModule = rapid.Bool().Draw(t, "modules")
	if l.TaskStat {
		l.Tasks = rapid.SampledFrom([]int{1, 15, 64, 128}).Draw(t, "tasks")
	}
	return l
}

// drawHeap draws a heap. Two free nodes are never neighbours, as on the device.
func drawHeap(t *rapid.T, l LiteOS, most int) *LiteOSHeap {
	h := &LiteOSHeap{Layout: l, Addr: heap.Addr(rapid.Uint32Range(1<<12, 1<<20).Draw(t, "addr")) * 64}
	lrs := l.Offsets().LRs
	n := rapid.IntRange(1, most).Draw(t, "nodes")
	for i := range n {
		d := LiteOSNode{
			Free: i > 0 && !h.Nodes[i-1].Free && rapid.IntRange(0, 3).Draw(t, "state") == 0,
			Size: rapid.Uint64Range(4, 400).Draw(t, "size"),
		}
		if !d.Free {
			d.Task = rapid.Uint16Range(0, 64).Draw(t, "task")
			if l.MulModule {
				d.Module = rapid.Uint16Range(0, 9).Draw(t, "module")
			}
			if rapid.IntRange(0, 4).Draw(t, "aligned") == 0 {
				d.Gap = rapid.SampledFrom([]uint32{4, 12, 24, 60}).Draw(t, "gap")
			}
			d.Payload = bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, int(d.Size))
		}
		for range rapid.IntRange(0, lrs).Draw(t, "LRs") {
			d.Stack = append(d.Stack, heap.Addr(rapid.Uint32Range(0x10000, 0x40000).Draw(t, "LR"))&^3)
		}
		h.Nodes = append(h.Nodes, d)
	}
	return h
}

// haunt writes headers of former nodes into the payloads, as merging and reuse
// leave them: with the magics, links and checksums of their places.
func (h *LiteOSHeap) haunt(t *rapid.T, pool []byte, starts []heap.Addr) {
	o := h.Layout.Offsets()
	e := encoder{LiteOSHeap: h, o: o, b: pool}
	for i := range h.Nodes {
		d := &h.Nodes[i]
		room := starts[i] + heap.Addr(e.length(d))
		at := starts[i] + heap.Addr(o.Head) + heap.Addr(d.Gap)
		prev := starts[i]
		for at+heap.Addr(o.Head) <= room && rapid.IntRange(0, 2).Draw(t, "former") == 0 {
			length := heap.Addr(o.Head)
			if rapid.Bool().Draw(t, "to the end") {
				length = room - at
			}
			keep := slices.Clone(pool[prev-h.Addr:][:o.Head])
			e.header(at, prev, uint64(length), &LiteOSNode{Task: 7})
			if prev == starts[i] {
				copy(pool[prev-h.Addr:], keep) // its head is in use
			}
			prev, at = at, at+length
		}
	}
}

// expected returns the nodes that a walk over the heap should give.
func (h *LiteOSHeap) expected(starts []heap.Addr) []heap.Node {
	o := h.Layout.Offsets()
	e := encoder{LiteOSHeap: h, o: o}
	var nodes []heap.Node
	for i := range h.Nodes {
		d := &h.Nodes[i]
		n := heap.Node{
			Addr: starts[i], Payload: starts[i] + heap.Addr(o.Head), Total: e.length(d),
			Owner: heap.Owner(d.Task), Stack: d.Stack,
		}
		if d.Free {
			n.State = heap.Free
		} else {
			n.Payload += heap.Addr(d.Gap)
			if o.Orig >= 0 {
				n.Size = d.Size
			}
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// TestModelClean: what is encoded is found in the middle of other memory,
// recognized, and read back as it was, without findings.
func TestModelClean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLayout(t)
		h := drawHeap(t, l, 40)
		pool, starts, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		margin := rapid.IntRange(0, 100).Draw(t, "margin") * 8
		ram := Bytes{Addr: h.Addr - heap.Addr(min(margin, int(h.Addr)-8)), Data: nil}
		ram.Data = append(append(make([]byte, h.Addr-ram.Addr), pool...), make([]byte, margin)...)
		given := openAs(ram, h.Addr, l)
		found, _ := pools(ram, Hints{})
		if len(found) != 1 || found[0].Addr != h.Addr || found[0].Size != uint64(len(pool)) {
			t.Fatalf("found %d pools, want one of %d bytes at %s", len(found), len(pool), h.Addr)
		}
		for _, p := range []*LiteOSPool{given, found[0]} {
			nodes, findings, s := walked(p)
			if len(findings) > 0 || len(s.Gaps) > 0 || s.Partial != "" {
				t.Fatalf("%v: findings %v, gaps %v, %s", p.Layout, findings, s.Gaps, s.Partial)
			}
			if p != given && !sameNodes(p.Layout, l) {
				if len(p.about.Doubts) == 0 && len(h.Nodes) > 8 {
					t.Fatalf("taken for %s with no doubt\n%q", p.Layout, p.about.Evidence)
				}
				continue
			}
			if d := cmp.Diff(h.expected(starts), nodes, cmp.Comparer(sameStack)); d != "" {
				t.Fatal(d)
			}
		}
	})
}

func sameStack(a, b heap.Stack) bool { return len(a) == 0 && len(b) == 0 || slices.Equal(a, b) }

// A fault is bytes written over a pool.
type fault struct {
	what string
	at   heap.Addr
	data []byte
}

func (f fault) String() string { return fmt.Sprintf("%s of %d bytes at %s", f.what, len(f.data), f.at) }

// drawFaults draws one of the ways in which programs damage heaps.
func drawFaults(t *rapid.T, h *LiteOSHeap, pool []byte, starts []heap.Addr) []fault {
	o := h.Layout.Offsets()
	end := h.Addr + heap.Addr(len(pool))
	pick := func() int { return rapid.IntRange(0, len(starts)-1).Draw(t, "node") }
	behind := func(i int) heap.Addr { // the end of node i
		if i+1 < len(starts) {
			return starts[i+1]
		}
		return end - heap.Addr(o.Head)
	}
	fill := func(n int) (string, []byte) {
		switch rapid.SampledFrom([]string{"'A'", "zeroes", "0xff", "text", "random"}).Draw(t, "with") {
		case "'A'":
			return "'A'", bytes.Repeat([]byte{'A'}, n)
		case "zeroes":
			return "zeroes", make([]byte, n)
		case "0xff":
			return "0xff", bytes.Repeat([]byte{0xff}, n)
		case "text":
			return "text", bytes.Repeat([]byte("hello world, "), n/13+1)[:n]
		}
		return "random", rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "bytes")
	}
	one := func(what string, at heap.Addr, data []byte) []fault {
		if over := int64(at) + int64(len(data)) - int64(end); over > 0 {
			data = data[:int64(len(data))-over]
		}
		return []fault{{what, at, data}}
	}
	switch rapid.SampledFrom([]string{"overflow", "double stomp", "underflow", "bit flip", "copy", "size", "several sizes", "pool head", "wild"}).Draw(t, "fault") {
	case "overflow":
		i := pick()
		with, b := fill(rapid.IntRange(1, o.Head+8).Draw(t, "length"))
		return one("overflow of "+with, behind(i), b)
	case "double stomp":
		i := pick()
		from := behind(i)
		to := behind(min(i+rapid.IntRange(1, 3).Draw(t, "nodes stomped"), len(starts)-1))
		with, b := fill(int(to-from) + rapid.IntRange(1, o.Head).Draw(t, "length"))
		return one("double stomp of "+with, from, b)
	case "underflow":
		i := pick()
		n := rapid.IntRange(1, o.Ctl).Draw(t, "length")
		with, b := fill(n)
		return one("underflow of "+with, starts[i]+heap.Addr(o.Head-n), b)
	case "bit flip":
		at := starts[0] + heap.Addr(rapid.IntRange(0, int(end-starts[0])-1).Draw(t, "where"))
		return one("bit flip", at, []byte{pool[at-h.Addr] ^ 1<<rapid.IntRange(0, 7).Draw(t, "bit")})
	case "copy": // of another head: its magic, links and checksum are those of its place
		from := rapid.IntRange(0, len(pool)-o.Head).Draw(t, "from") &^ 3
		if rapid.Bool().Draw(t, "a head") {
			from = int(starts[pick()] - h.Addr)
		}
		return one("copy of "+(h.Addr+heap.Addr(from)).String(), starts[pick()], slices.Clone(pool[from:from+o.Head]))
	case "size":
		return one("size", starts[pick()]+heap.Addr(o.Own+o.Size), wrongSize(t, h, pool, starts))
	case "several sizes": // in nodes next to each other
		var faults []fault
		i := pick()
		for k := i; k < min(i+3, len(starts)); k++ {
			faults = append(faults, one("one of several sizes", starts[k]+heap.Addr(o.Own+o.Size), wrongSize(t, h, pool, starts))...)
		}
		return faults
	case "pool head":
		with, b := fill(rapid.IntRange(1, 16).Draw(t, "length"))
		return one("pool head of "+with, h.Addr+heap.Addr(rapid.IntRange(0, o.FirstNode-1).Draw(t, "where")), b)
	}
	n := rapid.IntRange(1, 64).Draw(t, "length")
	with, b := fill(n)
	at := starts[0] + heap.Addr(rapid.IntRange(0, int(end-starts[0])-1).Draw(t, "where"))
	return one("wild write of "+with, at, b)
}

// wrongSize draws a word of size and flags: of another node, up to another node,
// past the end of the pool, past the end of memory, or none.
func wrongSize(t *rapid.T, h *LiteOSHeap, pool []byte, starts []heap.Addr) []byte {
	o := h.Layout.Offsets()
	other := int(starts[rapid.IntRange(0, len(starts)-1).Draw(t, "other")] - h.Addr)
	v := rapid.SampledFrom([]uint32{
		0, 1, 4, uint32(o.Head), sizeMask, usedBit, usedBit | sizeMask, usedBit | uint32(o.Head), 0xffffffff, 0x80000001,
		-uint32(h.Addr), uint32(len(pool)), usedBit | uint32(len(pool)), usedBit | uint32(other),
		binary.LittleEndian.Uint32(pool[other+o.Own+o.Size:]),
	}).Draw(t, "size")
	return binary.LittleEndian.AppendUint32(nil, v)
}

// verifiable says which bits of a pool's nodes can be proven wrong, and own
// which belong to which node's own header (its number + 1).
func (h *LiteOSHeap) verifiable(pool []byte, starts []heap.Addr) (checked []byte, own []int) {
	o := h.Layout.Offsets()
	checked, own = make([]byte, len(pool)), make([]int, len(pool))
	mark := func(at heap.Addr, off, n int) {
		for i := range n {
			if off >= 0 {
				checked[int(at-h.Addr)+off+i] = 0xff
			}
		}
	}
	fields := func(at heap.Addr, free, end bool) {
		if o.Sum >= 0 {
			for _, f := range [][2]int{{o.First, o.Word}, {o.Second, o.Word}, {o.Prev, o.Word}, {o.Gap, 4}, {o.Sum, o.Word}, {o.Size, 4}} {
				mark(at, f[0], f[1])
			}
			return
		}
		if free {
			mark(at, o.First, o.Word)
			mark(at, o.Second, o.Word)
		} else {
			mark(at, o.First, 4)
		}
		mark(at, o.Prev, o.Word)
		mark(at, o.Size, 4)
		if !free && !end {
			checked[int(at-h.Addr)+o.Size+3] &^= 0x40 // whether it is aligned
		}
	}
	mark(h.Addr, 0, o.Word)
	mark(h.Addr, o.PoolSize, 4)
	mark(h.Addr, o.Used, 4)
	mark(h.Addr, o.Lists, o.FirstNode-o.Lists)
	all := append(slices.Clone(starts), h.Addr+heap.Addr(len(pool))-heap.Addr(o.Head))
	for i, at := range all {
		free := i < len(h.Nodes) && h.Nodes[i].Free
		fields(at+heap.Addr(o.Own), free, i == len(h.Nodes))
		if o.Own != 0 {
			fields(at, false, false)
		}
		for k := range o.Ctl {
			own[int(at-h.Addr)+o.Own+k] = i + 1
		}
	}
	return checked, own
}

// TestModelDamaged: after any fault the walk ends, finds something where
// something that can be verified was hit, and lists every node whose header was
// not hit, as it was; without checksums, after one fault.
func TestModelDamaged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLayout(t)
		h := drawHeap(t, l, 24)
		pool, starts, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		most := 3
		if rapid.Bool().Draw(t, "former nodes") {
			h.haunt(t, pool, starts)
			most = 1 // with several faults nothing tells the living from the dead
		}
		checked, own := h.verifiable(pool, starts)
		bad := slices.Clone(pool)
		var faults []fault
		for range rapid.IntRange(1, most).Draw(t, "faults") {
			faults = append(faults, drawFaults(t, h, pool, starts)...)
		}
		hit := make(map[int]bool)
		wrong := false
		for _, f := range faults {
			copy(bad[f.at-h.Addr:], f.data)
		}
		for i := range bad {
			if bad[i] != pool[i] {
				wrong = wrong || (bad[i]^pool[i])&checked[i] != 0
				hit[own[i]-1] = true
			}
		}
		p := openAs(Bytes{Addr: h.Addr, Data: bad}, h.Addr, l)
		if p == nil {
			// That there is a pool, and how long, was told by its head, and by its
			// first node together with the end node.
			n := l.Offsets().PoolSize + 4
			if bytes.Equal(bad[:n], pool[:n]) || !hit[0] && !hit[len(starts)] {
				t.Fatalf("not opened: %v", faults)
			}
			return
		}
		nodes, findings, s := walked(p)
		if d := cmp.Diff(slowly(p), nodes, cmp.Comparer(sameStack)); d != "" {
			t.Fatalf("the walk in strides gives other nodes: %s", d)
		}
		context := func() string {
			return fmt.Sprintf("%s\nfaults %v, nodes hit %v\nfindings %v\ngaps %v\nstarts %v", l, faults, hit, findings, s.Gaps, starts)
		}
		if wrong && len(findings) == 0 {
			t.Fatalf("nothing is found\n%s", context())
		}
		if !wrong && len(findings) > 0 && !gapWordHit(h, starts, pool, bad) && findings[0].Kind != heap.TotalsWrong { // a waterline can be too low
			t.Fatalf("something is found where nothing can be\n%s", context())
		}
		recovered := len(s.Gaps) == 0 && (len(faults) == 1 || l.Offsets().Sum >= 0) // what one fault hides of the lists, its repair shows
		for _, f := range findings {
			recovered = recovered && f.Recovered
		}
		if again := openAs(patched(p, s.Patches), h.Addr, l); recovered && (again == nil || findingsOf(again) > 0) {
			_, left, _ := walked(again)
			t.Fatalf("not all is well after the repair: %v\n%v\n%s", left, s.Patches, context())
		}
		byAddr := make(map[heap.Addr]heap.Node)
		for i, n := range nodes {
			if i > 0 && n.Addr < nodes[i-1].Addr+heap.Addr(nodes[i-1].Total) {
				t.Fatalf("node %s lies in the one in front\n%s", n.Addr, context())
			}
			byAddr[n.Addr] = n
		}
		for i, want := range h.expected(starts) {
			if hit[i] {
				continue
			}
			if l.Offsets().Sum < 0 && len(faults) > 1 {
				continue // without checksums, what proves a node lies in its neighbours
			}
			got, ok := byAddr[want.Addr]
			if !ok {
				t.Fatalf("node %d at %s is missing\n%s", i, want.Addr, context())
			}
			if h.Nodes[i].Gap != 0 && l.Offsets().Gap < 0 {
				got.Payload = want.Payload // only its own payload says so
			}
			if d := cmp.Diff(want, got, cmp.Comparer(sameStack)); d != "" {
				t.Fatalf("node %d: %s\n%s", i, d, context())
			}
		}
	})
}

func findingsOf(p *LiteOSPool) int {
	_, f, _ := walked(p)
	return len(f)
}

// slowly walks node by node.
func slowly(p *LiteOSPool) (nodes []heap.Node) {
	w := p.walker()
	w.slow = true
	w.visit = func(n *heap.Node) bool {
		c := *n
		c.Stack = slices.Clone(n.Stack)
		nodes = append(nodes, c)
		return true
	}
	w.run()
	return nodes
}

// gapWordHit reports whether the word in front of an aligned payload changed.
func gapWordHit(h *LiteOSHeap, starts []heap.Addr, pool, bad []byte) bool {
	o := h.Layout.Offsets()
	for i, n := range h.Nodes {
		at := int(starts[i]-h.Addr) + o.Head + int(n.Gap) - 4
		if n.Gap != 0 && !bytes.Equal(pool[at:at+4], bad[at:at+4]) {
			return true
		}
	}
	return false
}

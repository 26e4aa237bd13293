package layout

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// rtLayouts returns every configuration.
func rtLayouts() (all []RTThread) {
	for k := RTThreadSmall; k <= RTThreadMemheap; k++ {
		for _, bits64 := range []bool{false, true} {
			for _, trace := range []bool{false, true} {
				for _, align := range []int{4, 8, 16} {
					if bits64 && align == 4 {
						continue
					}
					l := RTThread{Kind: k, Bits64: bits64, MemTrace: trace, Align: align}
					all = append(all, l)
					if k == RTThreadSmall && bits64 {
						l.Reserved = true
						all = append(all, l)
					}
				}
			}
		}
	}
	return all
}

// drawRTThread draws a heap.
func drawRTThread(t *rapid.T, l RTThread, most int) *RTThreadHeap {
	h := &RTThreadHeap{Layout: l, Addr: heap.Addr(rapid.Uint32Range(16, 1<<20).Draw(t, "addr")) * 64, Name: "heap"}
	n := rapid.IntRange(2, most).Draw(t, "nodes")
	for i := range n {
		d := RTThreadNode{
			Free: i > 0 && !h.Nodes[i-1].Free && rapid.IntRange(0, 3).Draw(t, "state") == 0,
			Size: rapid.Uint64Range(12, 400).Draw(t, "size"),
		}
		if !d.Free {
			if l.MemTrace {
				d.Thread = rapid.SampledFrom([]string{"main", "tshell", "NONE", "tidle0", "w"}).Draw(t, "thread")
			}
			d.Payload = bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, int(d.Size))
		}
		h.Nodes = append(h.Nodes, d)
	}
	return h
}

// model returns what is known about an encoded heap.
func (h *RTThreadHeap) model(tb interface{ Fatal(...any) }) *chainModel {
	image, starts, err := h.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	o := h.Layout.offsets()
	end := h.Addr + heap.Addr(len(image)-o.head)
	m := &chainModel{
		name: h.Layout.String(), addr: h.Addr, image: image, starts: append(starts, end), checked: make([]byte, len(image)),
		open: func(b Bytes) (Pool, error) {
			p, err := openRTThread(b, h.Addr, &h.Layout)
			if err != nil {
				return nil, err
			}
			return p, nil
		},
	}
	if n := len(h.Nodes); h.Layout.Kind != RTThreadMemheap && h.Nodes[n-1].Free {
		// Nothing shows that the node in front of the last one is not the last.
		defer func() { clear(m.checked[int(starts[n-2]-h.Addr)+o.next:][:o.word]) }()
	}
	for i, at := range m.starts {
		m.own = append(m.own, heap.Span{Start: at, End: at + heap.Addr(o.head)})
		m.mark(at, 0, o.markLen, 0xff)
		last := at == end
		if o.used != 0 {
			m.mark(at, o.used, 2, 0xff)
		}
		if h.Layout.Kind == RTThreadMemheap {
			m.mark(at, o.pool, o.word, 0xff)
			m.mark(at, o.nextFree, 2*o.word, 0xff)
		}
		m.mark(at, o.next, o.word, 0xff)
		if !last || h.Layout.Kind == RTThreadMemheap {
			m.mark(at, o.prev, o.word, 0xff)
		}
		// Whether a node is used only its own header says, and in memheap that
		// its links are 0 or not.
		if !last && h.Layout.Kind != RTThreadMemheap {
			m.checked[int(at-h.Addr)+o.used] &^= 1
		}
		if last {
			break
		}
		d := &h.Nodes[i]
		n := heap.Node{Addr: at, Payload: at + heap.Addr(o.head), Total: uint64(m.starts[i+1] - at)}
		if n.State = heap.Free; !d.Free {
			n.State = heap.Used
			if o.name >= 0 {
				name := d.Thread[:min(len(d.Thread), o.nameLen)]
				n.Owner = rtOwner([]byte(name))
			}
		}
		m.nodes = append(m.nodes, n)
	}
	return m
}

// haunt writes headers of former nodes into payloads, as merging leaves them:
// free ones, which name the node they are in and lead to its end.
func (h *RTThreadHeap) haunt(t *rapid.T, m *chainModel) {
	o := h.Layout.offsets()
	e := rtEncoder{RTThreadHeap: h, o: o, b: m.image, starts: m.starts[:len(m.starts)-1], end: m.starts[len(m.starts)-1]}
	unit := heap.Addr(max(o.align, o.word))
	for i, n := range m.nodes {
		prev, end := n.Addr, n.Addr+heap.Addr(n.Total)
		for at := n.Payload + unit*heap.Addr(rapid.IntRange(0, 4).Draw(t, "from")); at+heap.Addr(o.head)+unit <= end && rapid.IntRange(0, 2).Draw(t, "former") == 0; {
			next := end
			if rapid.Bool().Draw(t, "short") {
				next = min(end, at+heap.Addr(o.head)+4*unit)
			}
			e.header(at, prev, next, true, "")
			if o.nextFree >= 0 {
				e.put(at, o.nextFree, uint64(m.starts[rapid.IntRange(0, i).Draw(t, "link")]))
				e.put(at, o.prevFree, uint64(h.Addr)+64)
			}
			prev, at = at, next
		}
	}
}

// TestRTThreadClean: what is encoded is found, recognized and read back.
func TestRTThreadClean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom(rtLayouts()).Draw(t, "layout")
		system, find := "rtthread", findRTThread
		if l.Kind == RTThreadMemheap {
			system, find = "rtthread-memheap", findRTThreadMemheap
		}
		h := drawRTThread(t, l, 40)
		m := h.model(t)
		if rapid.Bool().Draw(t, "haunted") {
			h.haunt(t, m)
		}
		m.clean(t, system, find)
	})
}

// TestRTThreadDamaged: what damaged says, for RT-Thread.
func TestRTThreadDamaged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom(rtLayouts()).Draw(t, "layout")
		h := drawRTThread(t, l, 24)
		m := h.model(t)
		if rapid.Bool().Draw(t, "haunted") {
			h.haunt(t, m)
		}
		m.damaged(t)
	})
}
